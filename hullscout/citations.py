"""The papers behind the methods: rules, representations and services name theirs from here."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, slots=True, kw_only=True)
class Citation:
    """A paper, and what of it was used."""

    text: str
    doi: str | None
    used_for: str

    @property
    def bibtex(self) -> str:
        """The paper as an entry of BibTeX, parsed from its text: authors, title and what follows it."""
        authors, _, rest = self.text.partition(": ")
        title, _, place = rest.partition(". ")
        year = re.search(r"\((\d{4})\)", place)
        names = " and ".join(part.strip() for part in authors.removesuffix(" et al.").split(", "))
        names += " and others" if authors.endswith(" et al.") else ""
        article = None if place.startswith("Proc. ") else _ARTICLE.fullmatch(place)
        kind, fields = "book", {"publisher": place.partition(" (")[0]}
        if article:
            kind, fields = "article", {name: article[name] or "" for name in ("journal", "volume", "pages")}
        elif place.startswith("Proc. "):
            kind, fields = (
                "inproceedings",
                {"booktitle": place.rpartition(", ")[0], "pages": re.findall(r", (\d+)", place)[-1]},
            )
        stated = {"author": names, "title": f"{{{title}}}", **fields, "year": year[1] if year else ""}
        first = re.sub(
            r"\W", "", f"{names.partition(' and ')[0].split()[-1]}{stated['year']}{title.split()[0]}"
        ).lower()
        return _entry(kind, first, stated | {"doi": self.doi or "", "note": self.used_for})


_ARTICLE = re.compile(r"(?P<journal>.+?)(?: (?P<volume>\d+))?, (?P<pages>\d[\w-]*) \(\d{4}\)\.?")


def _entry(kind: str, key: str, fields: Mapping[str, str]) -> str:
    lines = "".join(f"  {name} = {{{value}}},\n" for name, value in fields.items() if value)
    return f"@{kind}{{{key},\n{lines}}}"


def own_bibtex(version: str) -> str:
    """Hullscout itself as an entry of BibTeX."""
    fields = {"author": "{The Hullscout developers}", "title": "{Hullscout}", "note": f"Version {version}"}
    return _entry("software", "hullscout", fields)


MBTR = Citation(
    text="H. Huo, M. Rupp: Unified representation of molecules and crystals for machine learning. "
    "Mach. Learn.: Sci. Technol. 3, 045017 (2022).",
    doi="10.1088/2632-2153/aca005",
    used_for="The many-body tensor representation (MBTR).",
)
HUO_RUPP_RULE = Citation(text=MBTR.text, doi=MBTR.doi, used_for="The selection rule.")
HULL_OF_SAMPLES = Citation(
    text="A. Novick, D. Cai, Q. Nguyen, R. Garnett, R. Adams, E. Toberer: Probabilistic prediction of material stability: "
    "integrating convex hulls into active learning. Mater. Horiz. 11, 5381 (2024).",
    doi="10.1039/D4MH00432A",
    used_for="Convex hulls of posterior samples.",
)
COARSENING = Citation(
    text="J. W. Miller, D. B. Dunson: Robust Bayesian inference via coarsening. J. Am. Stat. Assoc. 114, 1113 (2019).",
    doi="10.1080/01621459.2018.1469995",
    used_for="Weighing kernels of which none is right.",
)
COVERING = Citation(
    text="D. Arthur, S. Vassilvitskii: k-means++: the advantages of careful seeding. Proc. ACM-SIAM Symp. Discrete Algorithms "
    "(SODA), 1027 (2007).",
    doi=None,
    used_for="A start that covers the pool.",
)
GAUSSIAN_PROCESSES = Citation(
    text="C. E. Rasmussen, C. K. I. Williams: Gaussian Processes for Machine Learning. MIT Press (2006).",
    doi=None,
    used_for="Kernel regression, its uncertainty and its tuning.",
)
LEAVE_ONE_OUT = Citation(
    text="O. Dubrule: Cross validation of kriging in a unique neighborhood. Math. Geol. 15, 687 (1983).",
    doi="10.1007/BF01033232",
    used_for="Leave-one-out errors in closed form.",
)
TWINS = Citation(
    text="D. Widdowson, M. Mosca, A. Pulido, A. Cooper, V. Kurlin: Average minimum distances of periodic point sets - "
    "foundational invariants for mapping periodic crystals. MATCH Commun. Math. Comput. Chem. 87, 529 (2022).",
    doi="10.46793/match.87-3.529W",
    used_for="Finding crystals that occur more than once.",
)
PHASE_DIAGRAM = Citation(
    text="S. P. Ong, L. Wang, B. Kang, G. Ceder: Li-Fe-P-O2 phase diagram from first principles calculations. "
    "Chem. Mater. 20, 1798 (2008).",
    doi="10.1021/cm702327g",
    used_for="The phase diagram.",
)
PYMATGEN = Citation(
    text="S. P. Ong, W. D. Richards, A. Jain, G. Hautier, M. Kocher, S. Cholia, D. Gunter, V. L. Chevrier, K. A. Persson, "
    "G. Ceder: Python Materials Genomics (pymatgen). Comput. Mater. Sci. 68, 314 (2013).",
    doi="10.1016/j.commatsci.2012.10.028",
    used_for="The implementation of the phase diagram.",
)
ASE = Citation(
    text="A. H. Larsen et al.: The atomic simulation environment - a Python library for working with atoms. "
    "J. Phys.: Condens. Matter 29, 273002 (2017).",
    doi="10.1088/1361-648X/aa680e",
    used_for="Reading and drawing structures.",
)
SPGLIB = Citation(
    text="A. Togo, K. Shinohara, I. Tanaka: Spglib: a software library for crystal symmetry search. "
    "Sci. Technol. Adv. Mater.: Methods 4, 2384822 (2024).",
    doi="10.1080/27660400.2024.2384822",
    used_for="Space groups and conventional cells.",
)
SERVICES = (TWINS, PHASE_DIAGRAM, PYMATGEN, ASE, SPGLIB)
"""What every campaign uses."""


def citations_of(own: tuple[Citation, ...]) -> tuple[Citation, ...]:
    """The papers behind the methods of a campaign, its own ones first; a paper named twice is one with both uses."""
    papers: dict[str, Citation] = {}
    for paper in (*own, GAUSSIAN_PROCESSES, LEAVE_ONE_OUT, *SERVICES):
        named = papers.get(paper.text)
        if named is not None:
            further = f"{paper.used_for[:1].lower()}{paper.used_for[1:]}"
            paper = replace(named, used_for=f"{named.used_for.removesuffix('.')} and {further}")  # noqa: PLW2901
        papers[paper.text] = paper
    return tuple(papers.values())
