"""What a campaign is made with, as rows of its database: its origin, and the answers that are known before it asks for anything."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING

from hullscout.campaign.additions import Addition
from hullscout.campaign.config import check_config
from hullscout.campaign.opening import SCHEMA, CampaignDatabase
from hullscout.campaign.origin import Origin
from hullscout.campaign.prior import prior_of_rows
from hullscout.campaign.resuming import ChangedThen, Resuming, verdict_on
from hullscout.campaign.rows import ANSWERS, CAMPAIGN
from hullscout.errors import InvalidStructureError, StoreError
from hullscout.oracle import candidate_to_tree
from hullscout.selection import Decision

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from hullscout.campaign.rows import Row, Table
    from hullscout.oracle import Calculated
    from hullscout.pool import Candidate

GIVEN = "given"
"""The row that says where answers are from that were known beforehand."""
CHANGES = "changes"
"""The row that says what was changed of the settings since."""
GIVEN_LATER = "given:"
"""With an id behind, the row that says so of an answer that came unasked to a campaign that was there."""
ABOUT = "about:"
"""With an id behind, the row that keeps what is known about an energy."""
UNREADABLE = (AttributeError, KeyError, TypeError, ValueError, RecursionError, InvalidStructureError)
"""What parsing raises at a text that is not what it should be."""


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownAnswer:
    """An energy in eV of the candidate's cell, where it comes from, and what is known of it, as `Calculated` says it."""

    energy_ev: float
    source: str
    relaxed: Candidate | None = None
    note: str = ""
    wall_s: float | None = None
    settings: Mapping[str, str | float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class About:
    """What is kept of an energy beside itself: the settings of its calculation, and its seconds where nobody here asked for it."""

    settings: dict[str, str | float] = field(default_factory=dict)
    wall_s: float | None = None


def given_of_rows(values: Mapping[str, bytes]) -> tuple[dict[str, str], dict[str, int]]:
    """Where answers are from that nobody asked for, and the rounds decided before those that came to a campaign that was there."""
    sources, n_rounds = dict(json.loads(values.get(GIVEN, b"{}"))), {}
    for key, value in values.items():
        if key.startswith(GIVEN_LATER):
            candidate_id, said = key.removeprefix(GIVEN_LATER), json.loads(value)
            sources[candidate_id], n_rounds[candidate_id] = str(said["source"]), int(said["n_rounds"])
    return sources, n_rounds


def row_given_later(candidate_id: str, source: str, n_rounds: int) -> Row:
    """The row that says where such an answer is from."""
    said = json.dumps({"source": source, "n_rounds": n_rounds})
    return {"key": f"{GIVEN_LATER}{candidate_id}", "value": said.encode()}


def rows_about(candidate_id: str, settings: Mapping[str, str | float], wall_s: float | None = None) -> list[Row]:
    """The row that keeps what is known about an energy; none where that is nothing."""
    said = {key: value for key, value in asdict(About(settings=dict(settings), wall_s=wall_s)).items() if value}
    return [{"key": f"{ABOUT}{candidate_id}", "value": json.dumps(said).encode()}] if said else []


def about_of_rows(values: Mapping[str, bytes]) -> dict[str, About]:
    """What is known about energies, by the candidate's id."""
    return {
        key.removeprefix(ABOUT): About(**json.loads(value)) for key, value in values.items() if key.startswith(ABOUT)
    }


def rows_known(candidate_id: str, answer: KnownAnswer, *, n_rounds: int | None = None) -> list[tuple[Table, Row]]:
    """The rows of an answer that nobody asked for; where it came after so many rounds, with the one of where it is from."""
    rows = rows_about(candidate_id, answer.settings, answer.wall_s)
    rows += [] if n_rounds is None else [row_given_later(candidate_id, answer.source, n_rounds)]
    return [(ANSWERS, answer_row(candidate_id, answer)), *((CAMPAIGN, row) for row in rows)]


def decision_of(row: Row, index: Mapping[str, int]) -> Decision:
    """What was decided in a round, by its row; `index` is that of each candidate by its id."""
    tree = json.loads(row["record"])
    del tree["round"]
    return Decision.from_tree({**tree, "chosen": [index[candidate_id] for candidate_id in tree["chosen"]]})


def addition_of(row: Row) -> Addition:
    """What was added, by its row."""
    return Addition(n_rounds=row["n_rounds"], name=row["name"], pool=row["pool"])


def origin_of_rows(values: Mapping[str, bytes], additions: Sequence[Row], database: Path) -> Origin:
    """What a campaign was started from, by the rows that keep it; `StoreError` where they do not say."""
    try:
        folder = values.get("folder", b"").decode(errors="surrogateescape")
        origin = Origin(
            campaign_text=values["campaign_text"].decode(),
            config=check_config(json.loads(values["config"]), source=f"the campaign kept in {database}", is_own=False),
            pool_name=values["pool_name"].decode(errors="surrogateescape"),
            pool=values["pool"],
            folder=folder,
            additions=tuple(map(addition_of, additions)),
            prior=prior_of_rows(values),
            changes=changes_of_rows(values),
            **{key: tuple(said) for key, said in json.loads(values.get("reading", b"{}")).items()},
        )
        fingerprint = values["pool_sha256"].decode()
    except UNREADABLE as error:
        raise CampaignDatabase.damaged(database, error) from error
    if origin.pool_sha256 != fingerprint:
        raise CampaignDatabase.damaged(database, "the pool that it keeps does not match its fingerprint")
    return origin


def changes_of_rows(values: Mapping[str, bytes]) -> tuple[ChangedThen, ...]:
    """What was changed of the settings."""
    found = json.loads(values.get(CHANGES, b"[]"))
    return tuple(ChangedThen(n_rounds=int(then["n_rounds"]), lines=tuple(then["lines"])) for then in found)


def values_of_changes(origin: Origin, changes: Sequence[ChangedThen]) -> dict[str, bytes]:
    """What a campaign holds by name whose settings were changed."""
    return {
        "campaign_text": origin.campaign_text.encode(),
        "config": origin.config.model_dump_json().encode(),
        CHANGES: json.dumps([asdict(change) for change in changes]).encode(),
    }


def first_rows(origin: Origin, known: Mapping[str, KnownAnswer]) -> dict[Table, list[Row]]:
    """The rows that a campaign is made with, and those of the answers that are known beforehand."""
    values = {
        "schema": str(SCHEMA).encode(),
        "campaign_text": origin.campaign_text.encode(),
        "config": origin.config.model_dump_json().encode(),
        "pool_name": origin.pool_name.encode(errors="surrogateescape"),
        "folder": origin.folder.encode(errors="surrogateescape"),
        "pool_sha256": origin.pool_sha256.encode(),
        "pool": origin.pool,
        "has_moments": b"1",
        "reading": json.dumps({"faults": origin.faults, "notes": origin.notes}).encode(),
    }
    if known:
        values[GIVEN] = json.dumps({candidate_id: answer.source for candidate_id, answer in known.items()}).encode()
    rows: dict[Table, list[Row]] = {CAMPAIGN: [{"key": key, "value": value} for key, value in values.items()]}
    rows[ANSWERS] = []
    for table, row in (pair for candidate_id, answer in known.items() for pair in rows_known(candidate_id, answer)):
        rows[table].append(row)
    return rows


def answer_row(candidate_id: str, answer: Calculated | KnownAnswer) -> Row:
    """The row of an answer."""
    kept = None if answer.relaxed is None else json.dumps(candidate_to_tree(answer.relaxed))
    return {"id": candidate_id, "energy_ev": answer.energy_ev, "relaxed": kept, "note": answer.note or None}


def changed_since(kept: Origin, given: Origin) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """What may have changed since a campaign was made and has, and what may not, a line each."""
    lines = given.config.differences(kept.config)
    noted = tuple(line for line in lines if verdict_on(line.partition(":")[0]) is Resuming.NOTED)
    fixed = [line for line in lines if line not in noted]
    if given.pool_sha256 != kept.pool_sha256:
        fixed.append(
            f"the pool file {given.pool_name}: other content than when the campaign was started (`hullscout add` adds structures)"
        )
    return noted, tuple(fixed)


def refused(fixed: tuple[str, ...], folder: Path) -> StoreError:
    """The error where what is given is not what the campaign in `folder` was started from."""
    lines = "\n".join(f"  {line}" for line in fixed)
    return StoreError(
        f"{folder} holds another campaign, or this one with other settings:\n{lines}\n"
        "Nothing was changed. Choose another --out, or put the file back as it was to resume."
    )
