"""What a plan is asked for: which campaigns, how many replays, where they run, at what risk, what a calculation takes.

All of it is checked before any cost.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from hullscout.errors import InvalidPlanError
from hullscout.oracle import InProcessSettings, ProcessesSettings
from hullscout.planning.core_hours import CostColumn, KPointGrid, PowerLaw, fit_power_law, joined, read_times
from hullscout.planning.forecast import EXPERIENCE_RULE, MIN_ALLOYS, Source, too_few_alloys
from hullscout.planning.rates import CONFIDENCE, SEQUENTIAL_CONFIDENCE, fewest_runs, looks

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from hullscout.campaign import Origin, Setup
    from hullscout.oracle import AnyExecutor
    from hullscout.planning.budget import Budget
    from hullscout.planning.core_hours import CostModel, Price
    from hullscout.planning.grid import Setting

MAX_REPLICATES = 300
"""Replays of each setting that a plan plays at most where none are asked for."""
N_REPLICATES_OF_ALLOYS = 10
"""Replays of each of several alloys from which new ones are predicted: alloys differ far more than seeds do."""
NOT_OF_ALLOY: Final[Any] = {"name": True, "executor": True, "pool": {"path"}}
"""What campaigns on one alloy may differ in."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedCampaign:
    """A campaign of a plan: its file and pool, and the settings that are compared on it."""

    origin: Origin
    settings: tuple[Setting, ...]

    @property
    def name(self) -> str:
        """Name of the campaign."""
        return self.origin.config.name


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanOrder:
    """How a plan is made: how many replays of each setting, and the wanted risk of a hull beyond the tolerance, between 0 and 1.

    Attributes:
        n_replicates: Replays of each setting; None for as many as it takes to decide, `max_replicates` at most.
        executor: Where replays are played; None for processes here.
        n_workers: Replays at a time; None for what the executor says, one per core where it does not.
    """

    n_replicates: int | None = None
    max_replicates: int = MAX_REPLICATES
    risk: float = 0.05
    executor: AnyExecutor | None = None
    n_workers: int | None = None
    cost_model: CostModel | None = None
    price: Price | None = None

    @property
    def n_of_alloys(self) -> int:
        """Replays of each of several alloys from which new ones are predicted."""
        return N_REPLICATES_OF_ALLOYS if self.n_replicates is None else self.n_replicates

    @property
    def looks(self) -> tuple[int, ...]:
        """After how many replays of each setting it is seen whether they decide."""
        return looks(self.risk, most=self.max_replicates) if self.n_replicates is None else (self.n_replicates,)

    @property
    def confidence(self) -> float:
        """Of each interval, so that those of all looks hold together with 95 %."""
        return SEQUENTIAL_CONFIDENCE if self.n_replicates is None else CONFIDENCE

    @property
    def tries_stricter(self) -> bool:
        """Whether a plan goes on to stricter settings where none is safe: where as many replays as it takes may show one to be."""
        return self.n_replicates is None and self.looks[-1] >= fewest_runs(self.risk, confidence=self.confidence)

    @property
    def sized_executor(self) -> AnyExecutor:
        """The executor with its number of workers."""
        executor = ProcessesSettings() if self.executor is None else self.executor
        if isinstance(executor, InProcessSettings) or (
            self.n_workers is None and "workers" in executor.model_fields_set
        ):
            return executor
        return executor.model_copy(update={"workers": self.n_workers or os.cpu_count() or 1})

    def __post_init__(self) -> None:
        for option, value in (("--replicates", self.n_replicates), ("--max-replicates", self.max_replicates)):
            if value is not None and value < 1:
                raise InvalidPlanError(
                    f"{option}: expected at least 1, found {value}; {fewest_runs(0.05)} show a risk below 5 %."
                )
        if not 0.0 < self.risk < 1.0:
            raise InvalidPlanError(f"--risk: expected a probability above 0 and below 1, found {self.risk}.")
        if self.n_workers not in (None, 1) and isinstance(self.executor, InProcessSettings):
            raise InvalidPlanError(
                f"--workers {self.n_workers}: the executor 'in-process' plays one replay at a time. Leave one of them out."
            )
        if self.price is not None and self.cost_model is None:
            raise InvalidPlanError("--price is that of a core-hour: say by --core-hours what a calculation takes.")


def executor_of(
    campaigns: Iterable[PlannedCampaign | Setup], *, overrides: Iterable[str] = (), n_workers: int | None = None
) -> AnyExecutor | None:
    """Where the replays of campaigns are played: what their `[executor]` sections say, None where none has one."""
    if n_workers is not None and any(text.partition("=")[0].strip() == "executor.workers" for text in overrides):
        raise InvalidPlanError("--workers: executor.workers is given by --set as well. Give one of them.")
    configs = [campaign.origin.config for campaign in campaigns]
    stated = {config.name: config.executor for config in configs if "executor" in config.model_fields_set}
    if not stated:
        return None
    first, executor = next(iter(stated.items()))
    for name, other in stated.items():
        if other != executor:
            raise InvalidPlanError(
                "A plan has one executor, and the campaign files state two: "
                f"{first} {executor.model_dump(exclude_unset=True)} and {name} {other.model_dump(exclude_unset=True)}. "
                "Make the sections [executor] equal, or plan the campaigns apart."
            )
    return executor


def cost_model(
    texts: Sequence[str], *, kpoint_spacing: float | None = None, cores: int | None = None
) -> CostModel | None:
    """The cost model that `--core-hours` names; None where there is none.

    Args:
        texts: `column`, or `ATOMS:HOURS[:EXPONENT]`, or measured times: folders of live campaigns and CSV files, one or more.
        kpoint_spacing: Of k-points that time grows with, 1/Angstrom, 2 pi included; None where they do not count, or where the
            settings of a live campaign tell them.
        cores: Of each calculation of a live campaign, 1 if not given.
    """
    grid = None if kpoint_spacing is None else KPointGrid(spacing=kpoint_spacing)
    if not texts:
        unused = [name for name, value in (("--kpoint-spacing", grid), ("--cores", cores)) if value is not None]
        if unused:
            raise InvalidPlanError(
                f"{unused[0]} belongs to --core-hours: say what a calculation takes, or leave it out."
            )
        return None
    paths = [Path(text) for text in texts if text.endswith(".csv") or Path(text).is_dir()]
    if len(texts) > 1 and len(paths) < len(texts):
        raise InvalidPlanError(
            f"--core-hours: expected one model, or several folders or .csv files of measured times, found {' and '.join(texts)}."
        )
    if cores is not None and not any(path.is_dir() for path in paths):
        raise InvalidPlanError(
            f"--cores {cores}: this is for the seconds that a live campaign keeps; {texts[0]} states core-hours. Leave it out."
        )
    if paths:
        times = joined([read_times(path, grid=grid, cores=cores or 1) for path in paths])
        try:
            return fit_power_law(times)
        except InvalidPlanError as error:
            raise InvalidPlanError(f"{times.source}: {error}") from error
    if texts[0] != "column":
        return PowerLaw.parse(texts[0], grid=grid)
    if grid is not None:
        raise InvalidPlanError("--kpoint-spacing: the cost column states core-hours already. Leave one of them out.")
    return CostColumn()


def check_budget(budget: Budget | None, order: PlanOrder) -> None:
    """Refuse a budget in core-hours where nothing says what a calculation takes: an `InvalidPlanError`."""
    if budget is not None and budget.is_core_hours and order.cost_model is None:
        raise InvalidPlanError(
            "--budget in core-hours: say by --core-hours what a calculation takes, or give a number of them."
        )


def refuse_twice(campaigns: Iterable[PlannedCampaign | Setup]) -> None:
    """Refuse two campaigns with the same pool and settings, which would count as two alloys, and two of one name."""
    found: dict[tuple[str, str], str] = {}
    names: set[str] = set()
    for origin in (campaign.origin for campaign in campaigns):
        name, settings = origin.config.name, origin.config.model_dump_json(exclude=NOT_OF_ALLOY)
        before = found.setdefault((origin.pool_sha256, settings), name)
        if len(found) == len(names):
            both = f"{name!r} twice" if before == name else f"{before!r} and {name!r} with the same pool and settings"
            raise InvalidPlanError(f"Expected each alloy once, found {both}: it would count as two. Leave one out.")
        if name in names:
            raise InvalidPlanError(
                f"Two campaign files are called {name!r}; a plan tells campaigns by name. Give each its own `name`."
            )
        names.add(name)


def check_source(
    source: Source, *, new: Sequence[Setup], similar: Sequence[PlannedCampaign], unused: Sequence[str]
) -> None:
    """Refuse too few similar alloys (`--like`), and options given that the source of a prediction does not use."""
    both = {campaign.name for campaign in similar} & {campaign.config.name for campaign in new}
    if both:
        raise InvalidPlanError(f"--like: {min(both)!r} is the campaign that is to be predicted. Give other alloys.")
    _refuse_other_numbers_of_ends(source, new=new, similar=similar)
    if source is Source.REPLAYS:
        n_alloys = len({frozenset(campaign.origin.config.elements) for campaign in similar})
        if n_alloys < MIN_ALLOYS:
            raise too_few_alloys(n_alloys)
        return
    if source is Source.PRIOR and not similar:
        raise InvalidPlanError(
            "--from prior: give at least one --like, a campaign whose energies show what energies are like."
        )
    if source is Source.BASELINE and similar:
        raise InvalidPlanError("--from baseline: the energies are the pool's own; leave --like out.")
    for config in (campaign.config for campaign in new):
        if config.select.rule != EXPERIENCE_RULE:
            raise InvalidPlanError(
                f"--from {source}: how far off such guesses were is known under select.rule = {EXPERIENCE_RULE!r} only, found "
                f"{config.select.rule!r} in {config.name}. Predict it from replays, by --like."
            )
    if unused:
        raise InvalidPlanError(
            f"--from {source}: each campaign is predicted under its own settings; leave {', '.join(unused)} out."
        )


def _refuse_other_numbers_of_ends(source: Source, *, new: Sequence[Setup], similar: Sequence[PlannedCampaign]) -> None:
    """What alloys of two elements take says nothing of one of three, nor how far off guesses for two were."""
    n_ends = {campaign.config.name: len(campaign.config.axis.names) for campaign in new}
    n_of_all = n_ends | {campaign.name: len(campaign.origin.config.axis.names) for campaign in similar}
    if len(set(n_of_all.values())) > 1:
        found = ", ".join(f"{n} in {name}" for name, n in n_of_all.items())
        raise InvalidPlanError(
            f"Expected alloys of one number of elements (or ends), the new one's, found {found}: what one of two takes says "
            "nothing of one of three. Give others by --like."
        )
    more = [name for name, n in n_ends.items() if n > 2]
    if source is not Source.REPLAYS and more:
        raise InvalidPlanError(
            f"--from {source}: how far off such guesses were is known of alloys of two elements only, found {n_ends[more[0]]} in "
            f"{more[0]}. Predict it from replays, by --like."
        )
