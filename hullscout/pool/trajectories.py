"""ASE's trajectories (`.traj`) as pools: each image is a candidate.

A trajectory is either a list of structures or the steps of one relaxation, and nothing in it says which. A pool holds both
elements, so that images that are all of the same atoms are refused: which of them is meant is not guessed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hullscout.contents import raw_content
from hullscout.errors import InvalidPoolError, UnsafeFileError
from hullscout.pool.ase_contents import refuse_objects
from hullscout.pool.calculations import plain_file
from hullscout.pool.candidate import stated_id
from hullscout.pool.forces import force_column, force_on
from hullscout.pool.frames import UNREADABLE, Frames, Gathered, carried_energy, refuse_motion

if TYPE_CHECKING:
    from pathlib import Path

TRAJECTORY_MAGIC = b"- of Ulm"


def read_trajectory(path: Path) -> Frames:
    """All images of a trajectory, with the energies that were computed for them."""
    from ase.io import read  # noqa: PLC0415  (late: ASE loads slowly)

    try:
        content = raw_content(path)
        refuse_objects(content)
        with plain_file(content, "pool.traj") as plain:
            images: Any = read(plain, index=":", format="traj")
    except UnsafeFileError as error:
        raise InvalidPoolError(str(error)) from error
    except UNREADABLE as error:
        raise InvalidPoolError(
            f"{path}: expected a trajectory of ASE, found none that can be read ({type(error).__name__}: {error}). Write it "
            "again."
        ) from error
    if len(images) > 1 and len({tuple(sorted(image.numbers.tolist())) for image in images}) == 1:
        raise InvalidPoolError(
            f"{path}: expected structures of different compositions, found {len(images)} images of {images[0].symbols}: are they "
            "the steps of one relaxation? Write the last image of each into one file (extended XYZ, by ase.io.write) and name that."
        )
    gathered = Gathered(path)
    for place, image in enumerate(images, start=1):
        with gathered.reading(f"image {place}"):
            name = stated_id(image) or str(image.info.get("name", ""))
            if (energy := carried_energy(image)) is not None:
                refuse_motion(image)
            gathered.add(image, name=name, energy_ev=energy, columns={**image.info, **force_column(force_on(image))})
    return gathered.finish()
