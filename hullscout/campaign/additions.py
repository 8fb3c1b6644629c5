"""Structures that were added to a campaign after it was made: what is kept of them, and what is said.

An addition belongs to a place in the order of the rounds: those decided before it knew nothing of it, and are seen so for ever.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from hullscout.display import after_rounds


@dataclass(frozen=True, slots=True, kw_only=True)
class Addition:
    """What was added at one moment.

    Attributes:
        n_rounds: Rounds that were decided before.
        name: Where the structures came from, for people.
        pool: The new candidates alone, as extended XYZ, in their order.
    """

    n_rounds: int
    name: str
    pool: bytes = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class AddedThen:
    """How many candidates were added, and how many rounds were decided before."""

    n_rounds: int
    n_added: int

    @property
    def sentence(self) -> str:
        """When how many were added."""
        return f"{self.n_added} {'candidate was' if self.n_added == 1 else 'candidates were'} added {after_rounds(self.n_rounds)}."


@dataclass(frozen=True, slots=True, kw_only=True)
class Added:
    """What came of adding structures.

    Attributes:
        ids: Of the new candidates, in the order of the pool.
        n_rounds: Rounds that were decided before.
        n_candidates: Candidates that the campaign has now.
        twins: For each structure that the campaign had, or that came twice, by its id: the candidate's.
        left_out: Ids of structures without an energy, where a table is looked at.
        conflicts: A sentence for each twin whose energy is another than the table's.
        faults: What is wrong with structures that were left out since no campaign can use them.
        suspects: What looks wrong of the energies since these were added, and may be right.
        n_known: Energies of them that are answers from now on, also of crystals that the campaign had and never asked for.
        n_unused: Structures whose stated energies are not used, since they are computed.
        n_asked: Structures whose stated energies are of candidates that were asked for, and are awaited.
        offer: Which columns may hold the energies of those that were left out without one.
    """

    ids: tuple[str, ...]
    n_rounds: int
    n_candidates: int
    twins: dict[str, str]
    left_out: tuple[str, ...]
    conflicts: tuple[str, ...] = ()
    faults: tuple[str, ...] = ()
    suspects: tuple[str, ...] = ()
    n_known: int = 0
    n_unused: int = 0
    n_asked: int = 0
    offer: str = ""

    @property
    def sentences(self) -> tuple[str, ...]:
        """The same in sentences."""
        then = AddedThen(n_rounds=self.n_rounds, n_added=len(self.ids))
        said = [
            then.sentence if self.ids else "Nothing was added.",
            f"The campaign has {self.n_candidates} candidates.",
        ]
        if self.twins:
            shown = [f"{twin} = {first}" for twin, first in list(self.twins.items())[:5]]
            more = f" and {len(self.twins) - 5} more" if len(self.twins) > 5 else ""
            said.append(f"Known crystals, not added again: {', '.join(shown)}{more}.")
        if self.left_out:
            more = ", ..." if len(self.left_out) > 5 else ""
            said.append(f"Left out, since they have no energy: {', '.join(self.left_out[:5])}{more}.")
            said += [f"{self.offer}."] if self.offer else []
        said += [f"Left out: {fault}." for fault in self.faults]
        said += [f"Suspect: {sentence}" for sentence in self.suspects]
        if self.n_known:
            said.append(f"Energies that they state are answers from now on, and not computed: {self.n_known}.")
        if self.n_asked:
            said.append(
                f"Energies of candidates that were asked for and are awaited are not taken so ({self.n_asked}): they are told."
            )
        if self.n_unused:
            said.append(
                f"Energies that they state are not used ({self.n_unused}): this campaign computes all anew (oracle.use_known, "
                "prior.relax)."
            )
        return (*said, *self.conflicts)
