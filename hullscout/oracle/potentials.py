"""Universal potentials: which there are, and the energies of structures by one of them, as a prior for a campaign.

Each is an ASE calculator by its dotted path, so that anybody's is one as well. Named here are those whose weights come with their
package: nothing is downloaded when they are first used. What a potential knows is its level, the method that it was fitted to.
"""

from __future__ import annotations

import difflib
import json
from collections import deque
from concurrent.futures import FIRST_COMPLETED, wait
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, Literal

from hullscout.errors import OracleError
from hullscout.oracle.outcome import Calculated, Failed, FailureReason
from hullscout.oracle.settings import CalculatorSettings
from hullscout.oracle.workers import open_workers, outcome_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from concurrent.futures import Future
    from pathlib import Path

    from hullscout.oracle.outcome import Outcome
    from hullscout.oracle.settings import AnyExecutor, Relax
    from hullscout.oracle.workers import Workers
    from hullscout.pool import Candidate

RELAXED: Mapping[str, str] = {
    "none": "as given",
    "volume": "volume and atoms relaxed",
    "cell": "cell and atoms relaxed",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Potential:
    """A potential by its name.

    Attributes:
        path: Dotted path of what makes its calculator.
        install: What pip installs it by; the package is the first part of the path.
        level: The data that it was fitted to, and so the method that it stands for.
        arguments: What it is made with where nothing else is said.
        unrelaxed: Further ones where only energies are wanted.
        missing: Elements, of those up to Pu, that it does not know; none beyond.
    """

    path: str
    install: str
    level: str
    arguments: Mapping[str, Any] = field(default_factory=dict)
    unrelaxed: Mapping[str, Any] = field(default_factory=dict)
    missing: tuple[str, ...] = ()

    @property
    def package(self) -> str:
        """The package that it comes in."""
        return self.path.partition(".")[0]


POTENTIALS: Mapping[str, Potential] = {
    "diep": Potential(
        path="diep.pretrained.make_calculator",
        install="'hullscout[diep]'",
        level="MatPES r2SCAN",
        unrelaxed={"stress": False},
        missing=("Po", "At", "Rn", "Fr", "Ra"),
    ),
    "chgnet": Potential(
        path="chgnet.model.dynamics.CHGNetCalculator",
        install="'hullscout[chgnet]'",
        level="MPtrj PBE and PBE+U",
        arguments={"use_device": "cpu"},
        missing=("Po", "At", "Rn", "Fr", "Ra"),
    ),
    "sevenn": Potential(
        path="sevenn.calculator.SevenNetCalculator",
        install="sevenn",
        level="MPtrj PBE and PBE+U",
        arguments={"model": "7net-0", "device": "cpu"},
        missing=("Po", "At", "Rn", "Fr", "Ra"),
    ),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class PriorOrder:
    """Energies of a potential that are wanted; `OracleError` where there is none of that name, or its package is missing.

    Attributes:
        calculator: One of `POTENTIALS`, or the dotted path of an ASE calculator.
        on_change: What becomes of a structure that relaxed into another one: it has no energy, or that of what it became.
        setting: How whoever ordered it calls the calculator, for messages; its arguments are named alike.
    """

    calculator: str
    arguments: Mapping[str, Any] = field(default_factory=dict)
    relax: Relax = "none"
    on_change: Literal["fail", "keep"] = "fail"
    setting: str = "prior.calculator"

    def __post_init__(self) -> None:
        known = self.potential
        if known is None and "." not in self.calculator:
            close = difflib.get_close_matches(self.calculator, POTENTIALS, n=1)
            raise OracleError(
                f"{self.setting}: expected one of {', '.join(POTENTIALS)}, or the dotted path of an ASE calculator as "
                f"ase.calculators.emt.EMT, found {self.calculator!r}.{f' Did you mean {close[0]!r}?' if close else ''}"
            )
        if known is not None and find_spec(known.package) is None:
            raise OracleError(
                f"{self.setting}: {self.calculator!r} needs its package, which is not installed here: pip install "
                f"{known.install}. What it takes is in the guide, in prior.md."
            )

    @property
    def potential(self) -> Potential | None:
        """The potential of that name; None where it is a dotted path."""
        return POTENTIALS.get(self.calculator)

    @property
    def settings(self) -> CalculatorSettings:
        """How it is calculated."""
        known = self.potential
        path, arguments = (self.calculator, {}) if known is None else (known.path, dict(known.arguments))
        if known is not None and self.relax == "none":
            arguments |= known.unrelaxed
        stated: dict[str, Any] = {
            "calculator": path,
            "arguments": {**arguments, **self.arguments},
            "on_change": self.on_change,
        }
        match self.relax:
            case "none":
                return CalculatorSettings(**stated)
            case "volume":
                return CalculatorSettings(**stated, relax="volume-and-positions")
            case "cell":
                return CalculatorSettings(**stated, relax="cell-and-positions")

    @property
    def source(self) -> str:
        """Which energies these are: the potential, its version and level, and of which structures."""
        known = self.potential
        package = self.settings.calculator.partition(".")[0]
        try:
            said = (
                f"{self.calculator} of {package} {version(package)}"
                if known is None
                else f"{package} {version(package)}"
            )
        except PackageNotFoundError:
            said = self.calculator
        stated = f"with {json.dumps(dict(self.arguments), sort_keys=True)}" if self.arguments else ""
        return ", ".join(part for part in (said, known.level if known else "", stated, RELAXED[self.relax]) if part)

    def refuse_unknown_elements(self, symbols: Iterable[str]) -> None:
        """`OracleError` where a potential does not know one of the elements; of a dotted path nothing is known."""
        from ase.data import atomic_numbers  # noqa: PLC0415  slow to import

        known = self.potential
        if known is None:
            return
        foreign = [each for each in symbols if each in known.missing or atomic_numbers[each] > atomic_numbers["Pu"]]
        if foreign:
            raise OracleError(
                f"{self.setting}: {self.calculator!r} does not know {' and '.join(foreign)}: it was fitted to none. "
                "Take another potential, or none."
            )

    def energies(
        self, candidates: Iterable[Candidate], executor: AnyExecutor, *, folder: Path, beside: str | None = None
    ) -> Iterator[tuple[str, Calculated | Failed]]:
        """The id of each candidate and its energy in eV per cell, or why there is none, as they come.

        Workers load the potential once each. `OracleError` where they cannot: nothing was computed then.
        """
        try:
            with open_workers(self.settings, executor, folder=folder, beside=beside) as workers:
                yield from _computed(workers, candidates)
        except OracleError as error:
            raise OracleError(self._in_own_words(str(error))) from error

    def _in_own_words(self, sentence: str) -> str:
        """What is said of `[oracle]`, of the setting that names the potential; of a mere name, its package is at fault."""
        key, _, reason = sentence.partition(": ")
        known = self.potential
        if known is not None and not self.arguments and key in {"oracle.calculator", "oracle.arguments"}:
            return (
                f"{self.setting}: {self.calculator!r} cannot be loaded, though its package is here: {reason.rstrip('.')}. "
                f"Install it anew, with what it needs: pip install --force-reinstall {known.install}."
            )
        own = sentence.replace("oracle.arguments", self.setting.replace("calculator", "arguments"))
        return own.replace("oracle.calculator", self.setting)


def _computed(workers: Workers, candidates: Iterable[Candidate]) -> Iterator[tuple[str, Calculated | Failed]]:
    waiting = deque((candidate, 1) for candidate in candidates)
    running: dict[Future[Outcome], tuple[Candidate, int]] = {}
    while waiting or running:
        while waiting and len(running) < workers.size:
            candidate, attempt = waiting.popleft()
            running[workers.submit(candidate, attempt=attempt)] = (candidate, attempt)
        done, _ = wait(running, return_when=FIRST_COMPLETED)
        for future in [future for future in running if future in done]:
            candidate, attempt = running.pop(future)
            outcome = outcome_of(future)
            if not isinstance(outcome, Calculated | Failed):
                raise outcome
            if isinstance(outcome, Failed) and outcome.reason is FailureReason.NO_ROOM:
                raise OracleError(f"{outcome.sentence} Free some room and run the same command again.")
            if isinstance(outcome, Failed) and outcome.reason.may_pass and attempt <= workers.retries:
                waiting.append((candidate, attempt + 1))
            else:
                yield candidate.id, outcome
