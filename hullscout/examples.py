"""Campaigns that come with the package, ready to run: their files, wherever the package lies."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from hullscout.errors import OutputError
from hullscout.writing import make_folder, write_whole

HERE = Path(__file__).parent
PLACES = (HERE / "example_files", HERE.parent / "campaigns")
"""Where their folders are: in what is installed, or in the repository, from which a wheel takes them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Example:
    """A folder of the repository's campaigns, the files of it that come with the package, and which of them is run."""

    folder: str
    files: tuple[str, ...]
    shows: str

    @property
    def campaign_file(self) -> str:
        """What `hullscout run` is given."""
        return self.files[0]


EXAMPLES = {
    "agpd": Example(
        folder="agpd",
        files=("agpd.toml", "agpd.extxyz.gz", "README.md"),
        shows="625 DFT energies of Ag-Pd, looked up, to see how many would have been enough",
    ),
    "cuau": Example(
        folder="cuau-emt",
        files=("cuau-emt.toml", "cuau-cells.extxyz.gz", "README.md"),
        shows="57 cells of Cu-Au, computed by ASE's EMT",
    ),
    "alli": Example(
        folder="alli-gpaw",
        files=("alli-replay.toml", "alli.extxyz.gz", "alli-gpaw.toml", "alli-cells.extxyz", "README.md"),
        shows="58 cells of Al-Li, energies by GPAW looked up, and the same by GPAW itself",
    ),
    "cuagau": Example(
        folder="cuagau",
        files=("cuagau.toml", "cuagau.extxyz.gz", "README.md"),
        shows="1079 DFT energies of Cu-Ag-Au, looked up",
    ),
}
"""By the name that `hullscout example` takes."""


def write_example(name: str, folder: Path) -> Path:
    """Write an example's files into a folder, which is made, and return its campaign file; nothing that differs is replaced.

    Raises:
        OutputError: A file is there with another content, or cannot be written, or the package lacks it.
    """
    example = EXAMPLES[name]
    source = next((place / example.folder for place in PLACES if (place / example.folder).is_dir()), None)
    if source is None:
        raise OutputError(f"The example {name!r} is not where the package lies ({HERE}). Install Hullscout again.")
    contents = {file: (source / file).read_bytes() for file in example.files}
    # It names files as they lie in the repository; written, it stands beside them.
    contents["README.md"] = contents["README.md"].replace(f"campaigns/{example.folder}/".encode(), b"")
    for file, content in contents.items():
        there = folder / file
        if there.exists() and (not there.is_file() or there.read_bytes() != content):
            raise OutputError(f"{there} is there already with another content, and was not changed. Give another --to.")
    make_folder(folder, remedy="Give another --to.")
    for file, content in contents.items():
        write_whole(folder / file, content, remedy="Give another --to.")
    return folder / example.campaign_file
