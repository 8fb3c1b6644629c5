"""What a campaign is started from: its campaign file and the pool that it names, or the same from objects in Python.

`InvalidPoolError` says why a pool cannot be read.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from hullscout.campaign.config import CampaignConfig, campaign_text, check_config, load_config
from hullscout.contents import toml_of
from hullscout.errors import InvalidCampaignError, InvalidPoolError
from hullscout.files import sha256_of
from hullscout.pool import Frames, Pool, format_frames, keep_pool, kept_frames, most_frequent_elements
from hullscout.settings import look_beside

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    import ase
    from pymatgen.core.structure import Structure

    from hullscout.campaign.additions import Addition
    from hullscout.campaign.prior import Prior
    from hullscout.campaign.resuming import ChangedThen
    from hullscout.pool import Candidate, Frame
    from hullscout.pool.formats import Kept
    from hullscout.selection.known import Floats

IN_MEMORY = "structures given in Python"
"""Stands for the path of a pool that is no file."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """What a campaign was started from: its file as written, the settings in force, where the pool file was found, its bytes.

    The folder is that of the campaign file, to which relative paths in it refer: the current one for a campaign made in Python;
    empty where an earlier version did not keep it. Additions are the structures that were added since, in their order,
    changes what was changed of the settings.
    Faults and notes are what the reader of another format than extended XYZ said of it. The prior is what a potential
    says, once that was computed.
    """

    campaign_text: str
    config: CampaignConfig
    pool_name: str
    pool: bytes
    folder: str = ""
    additions: tuple[Addition, ...] = ()
    changes: tuple[ChangedThen, ...] = ()
    faults: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    prior: Prior | None = None

    @property
    def pool_sha256(self) -> str:
        """Fingerprint of the pool file."""
        return sha256_of(self.pool)


def read_origin(campaign_file: Path, overrides: Iterable[str] = (), *, seed: int | None = None) -> Origin:
    """Read a campaign file and the pool that it names, of any format; it is kept as extended XYZ."""
    text = campaign_text(campaign_file)
    config = load_config(campaign_file, overrides, seed=seed, text=text)
    pool_path = _pool_path(campaign_file, config.pool.path)
    return _of_file(text, config, pool_path, keep_pool(pool_path, config.pool.format), campaign_file.parent.resolve())


def handoff_origin(pool_path: Path, *, leaves_out_faults: bool = False) -> Origin:
    """A pool alone as a campaign whose energies are calculated elsewhere, all else as it is by default."""
    if not pool_path.exists():
        raise InvalidPoolError(f"There is no {pool_path}. Give a file or folder of candidates.")
    kept = keep_pool(pool_path)
    elements = most_frequent_elements(kept_frames(kept.content, path=pool_path))
    text = (
        f"# Made of a pool alone.\nname = {json.dumps('-'.join(elements))}\nelements = {json.dumps(elements)}\n\n"
        f"[pool]\npath = {json.dumps(str(pool_path))}\nleave_out_faults = {json.dumps(leaves_out_faults)}\n\n"
        '[oracle]\nkind = "handoff"\n'
    )
    config = check_config(toml_of(text), source=f"the pool {pool_path}")
    return _of_file(text, config, pool_path, kept, Path.cwd())


def _of_file(text: str, config: CampaignConfig, pool_path: Path, kept: Kept, folder: Path) -> Origin:
    return Origin(
        campaign_text=text,
        config=config,
        pool_name=str(pool_path),
        pool=kept.content,
        faults=kept.faults,
        notes=kept.notes,
        folder=str(folder),
    )


def _pool_path(campaign_file: Path, stated: str) -> Path:
    """Where the pool of a campaign file is."""
    try:
        path = campaign_file.parent / Path(stated).expanduser()
        is_there, why = path.exists(), ""
    except (OSError, RuntimeError, ValueError) as error:  # too long for a name, no home, a null character
        path, is_there, why = Path(stated), False, f" ({getattr(error, 'strerror', None) or error})"
    if not is_there:
        raise InvalidPoolError(
            f"The pool {path} is not there{why}. It is pool.path in {campaign_file}, relative to that file."
        )
    return path


def origin_of(
    structures: Pool | Iterable[ase.Atoms | Structure | Candidate],
    *,
    name: str,
    elements: Sequence[str] | None = None,
    **sections: object,
) -> Origin:
    """What a campaign is started from in Python: structures in memory, and sections of a campaign file as objects.

    See `hullscout.Campaign.of`; the section `pool` may hold anything but where it lies.
    """
    if elements is not None and not isinstance(elements, list | tuple):
        raise InvalidCampaignError(f"elements: expected a list, whose order is that of the axis, found {elements!r}.")
    listed = structures if isinstance(structures, Pool) else tuple(structures)
    ends = listed.ends if isinstance(listed, Pool) else sections.get("ends", ())
    if not isinstance(ends, list | tuple):
        raise InvalidCampaignError(f"ends: expected a list of formulas, found {ends!r}.")
    pool = listed if isinstance(listed, Pool) else Pool.of(listed, elements, ends=ends)
    stated = _columns_of(listed) if isinstance(listed, Pool) else {}
    names = [key for key in stated if key != "cost"]
    columns: dict[str, object] = {"cost": "cost"} if "cost" in stated else {}
    columns |= {"baseline": names[0] if len(names) == 1 else names} if names else {}
    frames = frames_of(listed)
    if isinstance(listed, Pool):
        frames = frames_with_columns(listed, frames)
    given = sections.pop("pool", {})
    tree = {
        "name": name,
        "elements": tuple(pool.elements) if elements is None else tuple(elements),
        **({"ends": tuple(ends)} if ends else {}),
        "pool": {"path": IN_MEMORY, **columns, **(given if isinstance(given, dict) else {})},
        **sections,
    }
    look_beside(Path.cwd())
    config = check_config(tree, source=f"the campaign {name!r}")
    settings = config.model_dump_json(indent=2, exclude_unset=True)
    text = "\n".join(["# Made in Python, with these settings:", *(f"# {line}" for line in settings.splitlines())])
    return Origin(
        campaign_text=f"{text}\n",
        config=config,
        pool_name=IN_MEMORY,
        pool=format_frames(frames),
        folder=str(Path.cwd()),
    )


def frames_of(listed: Pool | tuple[ase.Atoms | Structure | Candidate, ...]) -> tuple[Frame, ...]:
    """Frames of structures, with the energies that they carry, or that a pool keeps of them."""
    frames, energies = Frames.of(listed).frames, getattr(listed, "energies_ev_per_atom", None)
    if energies is None:
        return frames
    return tuple(
        frame if np.isnan(energy) else replace(frame, energy_ev=float(energy) * len(frame.numbers))
        for frame, energy in zip(frames, energies, strict=True)
    )


def frames_with_columns(pool: Pool, frames: tuple[Frame, ...]) -> tuple[Frame, ...]:
    """Frames of the candidates of a pool with their costs and baselines, eV per cell, for a campaign made in Python."""
    stated = _columns_of(pool)
    return tuple(
        replace(
            frame,
            columns={key: float(values[place]) for key, values in stated.items() if np.isfinite(values[place])},
        )
        for place, frame in enumerate(frames)
    )


def _columns_of(pool: Pool) -> dict[str, Floats]:
    """(n,) each."""
    columns = {}
    if pool.cost is not None:
        columns["cost"] = pool.cost
    if pool.baseline_ev_per_atom is not None:
        energies = (pool.baseline_ev_per_atom.reshape(len(pool), -1).T * pool.n_atoms).tolist()
        names = ["baseline"] if len(energies) == 1 else [f"baseline_{place}" for place in range(1, len(energies) + 1)]
        columns |= {name: np.array(each) for name, each in zip(names, energies, strict=True)}
    return columns
