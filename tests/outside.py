"""What somebody else could write: a rule and two representations, each in a few lines and used by its dotted path."""

from dataclasses import dataclass

import numpy as np

from hullscout import Decision, Rule


class LowestNeighbours(Rule):
    """Calculate what lies, in features, nearest to today's ground states; it states no probability."""

    batch: int = 2

    def start(self, known):
        ends = [np.flatnonzero(known.x == end)[0] for end in (0.0, 1.0)]
        return tuple(int(index) for index in ends)

    def decide(self, known, surrogate, *, stop):  # noqa: ARG002
        nearest = sorted(known.askable.tolist(), key=lambda i: np.abs(known.x[i] - known.hull.x).min())
        return Decision(chosen=tuple(nearest[: self.batch]), n_contenders=len(nearest))


class InOrder:
    """A plain class with the two methods, and a setting."""

    uses_hull_tolerance = False

    def __init__(self, batch: int = 3):
        self.batch = batch

    def start(self, known):
        return tuple(np.flatnonzero((known.x == 0) | (known.x == 1)).tolist())

    def decide(self, known, surrogate, *, stop):  # noqa: ARG002
        return Decision(chosen=tuple(known.askable[: self.batch].tolist()), n_contenders=known.askable.size)


@dataclass(frozen=True)
class VolumeAndShare:
    """Two blocks of one feature each: volume per atom, and the share of the second element."""

    elements: tuple[str, ...] = ()
    power: float = 1.0

    def blocks(self, candidates):
        from ase.data import atomic_numbers

        second = atomic_numbers[self.elements[1]]
        volumes = [abs(np.linalg.det(c.cell)) / len(c.numbers) for c in candidates]
        shares = [np.mean(np.asarray(c.numbers) == second) for c in candidates]
        return {"volume": np.array(volumes)[:, None] ** self.power, "share": np.array(shares)[:, None]}


class BadBlocks:
    """A representation that forgets a candidate."""

    def blocks(self, candidates):
        return {"all": np.zeros((len(candidates) - 1, 2))}


class NoRule:
    """Half a rule."""

    def start(self, known):  # noqa: ARG002
        return ()


class Unfinished(Rule):
    """Half a rule of the right base."""

    def start(self, known):  # noqa: ARG002
        return ()


class WrongDefault(InOrder):
    """A default that its annotation does not allow."""

    def __init__(self, tags: list = None):  # noqa: RUF013
        self.tags = tags
