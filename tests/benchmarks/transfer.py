"""Do answers of finished campaigns of related alloys save calculations, as one more baseline? Each alloy of a family left out.

    python tests/benchmarks/transfer.py --seeds 5              # 13 alloys of UNEP-v1, ten to twenty minutes on one core
    python tests/benchmarks/transfer.py --family noble --seeds 10
    python tests/benchmarks/transfer.py --family refractory --seeds 10
    python tests/benchmarks/transfer.py --like-without         # ends where a campaign without a prior would at the same belief

One kernel model learns formation energies of the family's other alloys that share an element with the one left out, and predicts
all candidates of that one: the baseline of its replays. It learns from what a replay to the stated probability looked up
(`answered`), or from all candidates (`all`, more than anybody has). Heights above the hull are capped as the rule caps them.
Lengths of all structures are scaled to one volume per atom, and the kernel is

    K = exp(-d^2 / (2 w^2)),    d^2 = <s,s> + <t,t> - 2 <s,t>,    <s,t> = sum_k sum_(z,z') f_k(s,z) . f_k(t,z') prod_j C[z_j, z'_j]

over ordered tuples z of elements of `MBTR.for_alloys`, so that elements that are alike by C tell of each other. C (by the table of
the elements, Pettifor's scale, or electronegativity, metallic radius and group), w and the regularization are those under which
the answered structures of the other alloys predict each other best, each alloy left out: by the share of variance about a
quadratic in the composition that the prediction times a coefficient does not tell, since that is what a campaign fits. Nothing of
the alloy left out decides anything.

Printed per pool: root mean square error (meV/atom) and rank correlation (Spearman) of hull distances; the same of a model that
knows the composition alone (mean hull distance of the same alloys at this fraction of the shared element); the share of the pool
that the prediction puts lower than that true ground state, a compound, which it puts highest (`states`); what replays save without
and with the baseline, the share of the pool after which the hull was right, and wrong hulls. Last the mean over alloys of the
difference, with its standard error.

Source of C in the MBTR: Huo & Rupp, Mach. Learn.: Sci. Technol. 3, 045017 (2022), equation 4. Of the predictions of what is left
out, here of whole alloys: Rasmussen & Williams, Gaussian Processes for Machine Learning, MIT Press 2006, equation 5.12.
"""

from __future__ import annotations

import selection  # isort: skip  # first: it sets the number of threads

import argparse
import sys
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import product
from typing import TYPE_CHECKING

import numpy as np
from ase import Atoms
from pymatgen.core import Element
from scipy.linalg import cho_factor, cho_solve
from scipy.stats import spearmanr

from hullscout.campaign import load_config
from hullscout.hull import end_energies, formation_energy, lower_hull
from hullscout.mbtr import MBTR, periodic_table_correlation, pettifor_correlation
from hullscout.mbtr.channels import channel_table
from hullscout.planning import ReplayPool, play
from hullscout.regression import cap_height
from hullscout.selection import HullPosteriorRule, alloys

if TYPE_CHECKING:
    from pathlib import Path

FAMILIES = {
    "unep": "agpt-unep AuPd CuPd MoPt NiPd TiPd AgPd-unep NiPt TaPt TiPt VPd WPd ZrPd",
    "noble": "AgAu AgCu AuCu",
    "refractory": "NbMo-relax NbMo-unrelax MoTa-relax TaW-relax NbW-unrelax",
}
VOLUME_PER_ATOM = 15.0  # A^3
SMOOTHING = 0.05  # of fractions, in what the composition alone says
WIDTHS = (0.25, 0.5, 1.0, 2.0, 4.0)  # over the median distance
RIDGES = (1e-6, 1e-5, 1e-4, 1e-3, 1e-2, 1e-1)


@dataclass(frozen=True, kw_only=True, eq=False)
class Alloy:
    """A pool, its capped formation energies in eV/atom, and what a replay without a prior looked up."""

    path: Path
    found: ReplayPool
    answered: np.ndarray

    @property
    def elements(self) -> tuple[str, ...]:
        return self.found.pool.elements

    @property
    def everything(self) -> np.ndarray:
        """(n,) indices of all candidates."""
        return np.arange(len(self.found.pool))

    def fraction(self, element: str) -> np.ndarray:
        x = self.found.pool.fractions[:, 0]
        return x if element == self.elements[1] else 1.0 - x

    def shared(self, other: Alloy) -> set[str]:
        """The elements of both; none where they are the same alloy."""
        both = set(self.elements) & set(other.elements)
        return both if len(both) == 1 else set()

    def heights(self, rows: np.ndarray) -> np.ndarray:
        """(m,) heights above the hull of these candidates alone, capped."""
        return self.labels(rows)[1]

    def labels(self, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """(m,) capped formation energies and (m,) capped heights, as a campaign knows them that knows these candidates."""
        fractions, energies = self.found.pool.fractions[rows], self.found.energies_ev_per_atom[rows]
        formation = formation_energy(fractions, energies, ends_ev_per_atom=end_energies(fractions, energies))
        at_hull = lower_hull(fractions, formation).energy_at(fractions)
        heights = cap_height(formation - at_hull, HullPosteriorRule().energy_cap)
        return at_hull + heights, heights

    @cached_property
    def tensors(self) -> list[np.ndarray]:
        """Features over ordered tuples of the two elements, (n, 2, ..., 2, n_x) of each term."""
        mbtr = MBTR.for_alloys(self.elements, n_threads=1)
        counted = mbtr.transform([scaled(one) for one in self.found.pool.candidates])
        tensors = []
        for term, columns in zip(mbtr.terms, mbtr.slices.values(), strict=True):
            table = channel_table(2, term.k)
            block = counted[:, columns].reshape(len(counted), -1, term.n_x)
            is_twice = np.bincount(table) > 1  # a channel that is not its own reverse stands for two ordered tuples
            block = block * np.where(is_twice, 1.0, 2.0)[:, None]
            tensors.append(block[:, table].reshape(len(block), *[2] * term.k, term.n_x))
        return tensors


def scaled(candidate) -> Atoms:
    """A candidate at the volume per atom of all."""
    atoms = Atoms(numbers=candidate.numbers, positions=candidate.positions, cell=candidate.cell, pbc=True)
    factor = (VOLUME_PER_ATOM * len(atoms) / atoms.get_volume()) ** (1 / 3)
    atoms.set_cell(factor * atoms.cell.array, scale_atoms=True)
    return atoms


def correlations(elements: tuple[str, ...]) -> dict[str, np.ndarray]:
    """Matrices C (n_elements, n_elements) to choose from, by name."""
    traits = np.array([[one.X, float(one.metallic_radius), one.group] for one in map(Element, elements)])
    traits = (traits - traits.mean(axis=0)) / np.maximum(traits.std(axis=0), 1e-9)  # noble metals are of one group
    apart = ((traits[:, None] - traits[None]) ** 2).sum(axis=2)
    return (
        {f"properties {a:g}": np.exp(-apart / (2 * a**2)) for a in (0.5, 1.0, 2.0, 4.0)}
        | {f"Pettifor {a:g}": pettifor_correlation(elements, length=a) for a in (1.0, 3.0, 8.0)}
        | {
            f"table {a:g} {b:g}": periodic_table_correlation(elements, group_length=a, period_length=b)
            for a, b in product((0.5, 1.5, 4.0), (0.7, 2.0))
        }
    )


@dataclass(frozen=True, kw_only=True, eq=False)
class Likeness:
    """Squared distances of structures of any alloys under one C."""

    elements: tuple[str, ...]
    C: np.ndarray

    def between(self, first: Alloy, rows: np.ndarray, second: Alloy, columns: np.ndarray) -> np.ndarray:
        """(m, q) squared distances d^2 of structures of two alloys."""
        inner = self._correlated(first, rows, second) @ _flat(second, columns).T
        sizes = [
            np.einsum("nd,nd->n", self._correlated(one, those, one), _flat(one, those))
            for one, those in ((first, rows), (second, columns))
        ]
        return np.maximum(sizes[0][:, None] + sizes[1] - 2.0 * inner, 0.0)

    def among(self, chosen: list[tuple[Alloy, np.ndarray]], others: list[tuple[Alloy, np.ndarray]]) -> np.ndarray:
        return np.block([[self.between(*one, *other) for other in others] for one in chosen])

    def _correlated(self, alloy: Alloy, rows: np.ndarray, other: Alloy) -> np.ndarray:
        """Features of an alloy as another one's elements see them, (m, d)."""
        C = self.C[np.ix_(*([self.elements.index(e) for e in one.elements] for one in (alloy, other)))]
        flat = []
        for tensor in alloy.tensors:
            seen = tensor[rows]
            for axis in range(1, seen.ndim - 1):
                seen = np.moveaxis(np.tensordot(seen, C, axes=(axis, 0)), -1, axis)
            flat.append(seen.reshape(len(rows), -1))
        return np.hstack(flat)


def _flat(alloy: Alloy, rows: np.ndarray) -> np.ndarray:
    return np.hstack([tensor[rows].reshape(len(rows), -1) for tensor in alloy.tensors])


@dataclass(frozen=True, kw_only=True)
class Chosen:
    """The settings under which alloys predict each other best, and the share of variance that is left then."""

    name: str
    width: float
    ridge: float
    left: float


def variance_left(x: np.ndarray, y: np.ndarray, predicted: np.ndarray) -> float:
    """Share of the variance of y (n,) about a quadratic in x that the prediction, times a coefficient above 0, does not tell."""
    basis = np.linalg.qr(np.vander(x, 3))[0]
    y, p = (one - basis @ (basis.T @ one) for one in (y, predicted))
    return float(1.0 - max(y @ p, 0.0) ** 2 / max((y @ y) * (p @ p), 1e-30))


def choose(related: list[Alloy], likeness: dict[str, Likeness], distances: dict[str, np.ndarray]) -> Chosen:
    """Choose C, width and regularization by what answered structures tell of those of an alloy left out; d^2 by the name of C."""
    y = np.concatenate([one.labels(one.answered)[0] for one in related])
    ends = np.cumsum([0, *(len(one.answered) for one in related)])
    best = Chosen(name="", width=0.0, ridge=0.0, left=np.inf)
    for name in likeness:
        D = distances[name]
        for scale, ridge in product(WIDTHS, RIDGES):
            width = scale * np.sqrt(np.median(D))
            inverse = np.linalg.inv(np.exp(-D / (2 * width**2)) + ridge * np.eye(len(D)))
            alpha = inverse @ (y - y.mean())
            left = []
            for alloy, start, end in zip(related, ends[:-1], ends[1:], strict=True):
                error = np.linalg.solve(inverse[start:end, start:end], alpha[start:end])
                x = alloy.found.pool.fractions[alloy.answered, 0]
                left.append(variance_left(x, y[start:end], y[start:end] - error))
            if np.mean(left) < best.left:
                best = Chosen(name=name, width=float(width), ridge=ridge, left=float(np.mean(left)))
    return best


def predict(
    alloy: Alloy, related: list[Alloy], rows: list[np.ndarray], likeness: Likeness, chosen: Chosen
) -> np.ndarray:
    """(n,) formation energies in eV/atom of an alloy's candidates by a model of these candidates of the others."""
    learned = list(zip(related, rows, strict=True))
    y = np.concatenate([one.labels(those)[0] for one, those in learned])
    K = np.exp(-likeness.among(learned, learned) / (2 * chosen.width**2))
    K[np.diag_indices_from(K)] += chosen.ridge
    alpha = cho_solve(cho_factor(K, overwrite_a=True), y - y.mean())
    D = likeness.among([(alloy, alloy.everything)], learned)
    return np.asarray(y.mean() + np.exp(-D / (2 * chosen.width**2)) @ alpha)


def by_composition(alloy: Alloy, related: list[Alloy], rows: list[np.ndarray]) -> np.ndarray:
    """(n,) mean hull distances of the others' candidates at a candidate's fraction of the shared element, eV/atom."""
    weighted, weights = np.zeros(len(alloy.found.pool)), np.zeros(len(alloy.found.pool))
    for other, those in zip(related, rows, strict=True):
        (element,) = alloy.shared(other)
        apart = alloy.fraction(element)[:, None] - other.fraction(element)[those]
        near = np.exp(-0.5 * (apart / SMOOTHING) ** 2)
        weighted, weights = weighted + near @ other.heights(those), weights + near.sum(axis=1)
    return np.asarray(weighted / weights)


def said(truth: np.ndarray, predicted: np.ndarray) -> str:
    """Root mean square error in meV/atom and rank correlation of hull distances."""
    error = 1000 * np.sqrt(np.mean((truth - predicted) ** 2))
    return f"{error:.0f} {spearmanr(truth, predicted).statistic:5.2f}"


def replays(alloy: Alloy, column: np.ndarray | None, arguments: argparse.Namespace) -> list[selection.Run]:
    pool = replace(alloy.found.pool, baseline_ev_per_atom=column)
    found, runs = replace(alloy.found, pool=pool), []
    for seed in range(arguments.seeds):
        config = load_config(alloy.path, (f"stop.failure_probability={arguments.stated}",), seed=seed)
        played = play(found, config, seed=seed)
        runs.append(selection.Run(path=played, n_candidates=len(pool), seconds=0.0))
    return runs


def row(runs: list[selection.Run], arguments: argparse.Namespace) -> np.ndarray:
    """Saved %, share of the pool after which the hull was right in %, and share of wrong hulls."""
    saved = [100 * run.saved(arguments.stated) for run in runs]
    after = [100 * run.right_after(arguments.tolerance) for run in runs]
    wrong = [run.error(arguments.stated) > arguments.tolerance for run in runs]
    return np.array([np.mean(saved), np.nanmean(after) if not np.isnan(after).all() else np.nan, np.sum(wrong)])


def opened(arguments: argparse.Namespace) -> tuple[list[Alloy], list[np.ndarray]]:
    """The alloys of the family that are here, with what the first replay of each looked up; and what their replays gave."""
    names = FAMILIES[arguments.family].split()
    paths = {path.stem: path for path in selection.CAMPAIGNS + selection.SHARED}
    found, rows = [], []
    for name in [name for name in names if name in paths]:
        alloy = Alloy(path=paths[name], found=selection.opened(paths[name], "none"), answered=np.zeros(0, dtype=int))
        runs = replays(alloy, None, arguments)
        n = runs[0].path.end(arguments.stated).n_calculations
        found.append(replace(alloy, answered=np.sort(runs[0].path.order[:n])))
        rows.append(row(runs, arguments))
    return found, rows


def print_way(
    way: str,
    family: list[Alloy],
    without: list[np.ndarray],
    likeness: dict[str, Likeness],
    distances: dict[str, np.ndarray],
    arguments: argparse.Namespace,
) -> None:
    """A line for each alloy, learned from what was answered of the others or all, and the mean difference over alloys."""
    print(
        f"\nlearned from {way}; hull distances: error and rank correlation; saved % / right after % / wrong of {arguments.seeds}"
    )
    print(
        f"{'pool':<14}{'learned':>8}{'transfer':>12}{'composition':>12}{'states, %':>11}{'without':>19}{'with':>19}"
        "   C, variance left"
    )
    owner = np.repeat(np.arange(len(family)), [len(alloy.answered) for alloy in family])
    ends: dict[tuple[str, ...], list[np.ndarray]] = {}
    for alloy, before in zip(family, without, strict=True):
        places = [place for place, one in enumerate(family) if one.shared(alloy)]
        related, is_known = [family[place] for place in places], np.isin(owner, places)
        chosen = choose(related, likeness, {name: D[np.ix_(is_known, is_known)] for name, D in distances.items()})
        rows = [one.answered if way == "answered" else one.everything for one in related]
        column = predict(alloy, related, rows, likeness[chosen.name], chosen)
        fractions, truth = alloy.found.pool.fractions, alloy.heights(alloy.everything)
        formation = formation_energy(fractions, column, ends_ev_per_atom=end_energies(fractions, column))
        heights = lower_hull(fractions, formation).distance(fractions, formation)
        compounds = [index for index in alloy.found.ground_states if 0.0 < fractions[index, 0] < 1.0]
        lower = 100 * max((np.mean(heights < heights[index]) for index in compounds), default=0.0)
        pair = np.array([before, row(replays(alloy, column, arguments), arguments)])
        ends.setdefault(alloy.elements, []).append(pair)
        cells = "".join(f"{f'{a:.1f} /{b:5.1f} /{c:2.0f}':>19}" for a, b, c in pair)
        print(
            f"{alloy.path.stem:<14}{sum(map(len, rows)):>8}{said(truth, heights):>12}"
            f"{said(truth, by_composition(alloy, related, rows)):>12}{lower:>11.0f}{cells}   {chosen.name}, {chosen.left:.2f}",
            flush=True,
        )
    change = np.array([np.mean(np.diff(pairs, axis=1)[:, 0], axis=0) for pairs in ends.values()])
    mean = np.nanmean(change, axis=0)
    error = np.nanstd(change, axis=0, ddof=1) / np.sqrt(np.isfinite(change).sum(axis=0))
    n_wrong = np.sum([pair for pairs in ends.values() for pair in pairs], axis=0)[:, 2]
    print(
        f"mean of {len(change)} alloys: saved {mean[0]:+.2f} +- {error[0]:.2f} points (least {change[:, 0].min():+.1f}), "
        f"right after {mean[1]:+.2f} +- {error[1]:.2f} % of the pool, wrong {n_wrong[0]:.0f} without and {n_wrong[1]:.0f} with",
        flush=True,
    )


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--family", choices=FAMILIES, default="unep")
    parser.add_argument("--seeds", type=int, default=3, help="runs of each pool")
    parser.add_argument("--learn-from", default="answered,all", help="answered, all, or both")
    parser.add_argument("--stated", type=float, default=0.05, help="failure probability, from 0.01 on")
    parser.add_argument("--like-without", action="store_true", help="state probabilities as without a prior")
    parser.add_argument("--tolerance", type=float, default=0.001, help="eV/atom")
    arguments = parser.parse_args()
    if arguments.like_without:
        alloys.CALIBRATION_WITH_PRIOR = alloys.CALIBRATION
    family, without = opened(arguments)
    if len(family) < len(FAMILIES[arguments.family].split()):
        print("skipped: pools of ../shared/data are missing", file=sys.stderr)
        return 0
    elements = tuple(sorted({element for alloy in family for element in alloy.elements}))
    likeness = {name: Likeness(elements=elements, C=C) for name, C in correlations(elements).items()}
    known = [(alloy, alloy.answered) for alloy in family]
    distances = {name: one.among(known, known) for name, one in likeness.items()}
    for way in arguments.learn_from.split(","):
        print_way(way, family, without, likeness, distances, arguments)
    return 0


if __name__ == "__main__":
    sys.exit(main())
