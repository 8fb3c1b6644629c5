"""What the model of a campaign believed at its end, kept so that figures and reports of it need no fit.

It stands in one file of the campaign's folder, sealed as the pool is, and is used where its key says that it was believed of the
same pool by the same settings and code when the same was known. Without it everything is computed anew, to the same bytes. Nothing
is kept of a rule of one's own, whose code may change, nor where the pool is not kept.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, fields
from typing import TYPE_CHECKING, Any

import numpy as np
import scipy

from hullscout.campaign.kept import pool_key
from hullscout.campaign.sealed import code_of, read_sealed, write_sealed
from hullscout.selection import Belief
from hullscout.selection.baselines import Use
from hullscout.writing import clear_half_made

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from hullscout.campaign.sealed import Sealed
    from hullscout.campaign.setup import Setup
    from hullscout.selection import Known

KEPT_BELIEF = "belief.kept"
"""Name of the file in a campaign's folder."""
_SECTIONS = ("select", "stop", "cost", "regression", "seed")
"""Those of the campaign file that it depends on, beside those of the pool and its features."""
_DERIVED = ("band", "probability_on_hull")
"""What figures ask of a belief, which would load the compiled kernels."""
_MADE_BY = (
    "hull.py",
    "hull_kernels.py",
    "selection/**/*.py",
    "regression/**/*.py",
    "campaign/engine.py",
    "campaign/beliefs.py",
    "campaign/kept_belief.py",
)


def write_belief(folder: Path, setup: Setup, belief: Belief) -> None:
    """Keep what is believed; where that cannot be done, nothing is kept and nothing is said."""
    if (key := _key_of(setup, belief.known)) is None:
        return
    clear_half_made(folder / KEPT_BELIEF)
    stated = {each.name: getattr(belief, each.name) for each in fields(Belief) if each.name != "known"}
    arrays = {name: value for name, value in stated.items() if isinstance(value, np.ndarray)}
    if len(belief.known.pool.end_names) == 2:  # of more it takes seconds
        arrays |= {name: getattr(belief, name) for name in _DERIVED}
    others = {name: value for name, value in stated.items() if name not in arrays}
    write_sealed(folder / KEPT_BELIEF, key, {**others, "baseline_use": asdict(belief.baseline_use)}, arrays)


def read_belief(folder: Path) -> Sealed | None:
    """What is kept in a folder, of whatever moment; None where there is nothing that this user made."""
    return read_sealed(folder / KEPT_BELIEF)


def belief_of(found: Sealed, setup: Setup, known: Known) -> Belief | None:
    """What was believed when this was known; None where something else is kept."""
    if found.key != _key_of(setup, known):
        return None
    stated: dict[str, Any] = {
        each.name: found.header[each.name] for each in fields(Belief) if each.name in found.header
    }
    use: dict[str, Any] = stated["baseline_use"]
    stated["baseline_use"] = Use(**{**use, **{name: tuple(use[name]) for name in ("baselines", "coefficients")}})
    derived = {name: values for name, values in found.arrays.items() if name in _DERIVED}
    stated |= {name: values for name, values in found.arrays.items() if name not in derived}
    belief = Belief(known=known, **stated)
    belief.__dict__.update(derived)
    return belief


def _key_of(setup: Setup, known: Known) -> str | None:
    """What tells one moment of a campaign, and the code that learns of it, from all others; None of what is not kept."""
    of_pool = None if setup.is_given else pool_key(setup.origin, is_table=setup.is_table)
    if of_pool is None or "." in setup.config.select.rule:
        return None
    said: dict[str, Any] = {
        "made by": (scipy.__version__, code_of(_MADE_BY)),
        "pool": of_pool,
        "settings": setup.config.model_dump(mode="json", include=set(_SECTIONS)),
        "decisions": [decision.to_tree() for decision in known.decisions],
    }
    found = hashlib.sha256(json.dumps(said, sort_keys=True).encode())
    for name, content in _contents(known):
        found.update(f"\n{name} {len(content)}\n".encode())
        found.update(content)
    return found.hexdigest()


def _contents(known: Known) -> Iterator[tuple[str, bytes]]:
    for name in ("cost", "given", "answered", "energies_ev_per_atom", "failed", "pending"):
        yield name, getattr(known, name).tobytes()
    prior = known.pool.baseline_ev_per_atom
    yield "prior", b"" if prior is None else prior.tobytes()
