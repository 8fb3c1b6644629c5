"""The settings that a plan compares: a campaign file, and values to try for some of its keys.

A key that only some rules or representations know (`select.factor`, `stop.failure_probability`) is varied for those and left alone
for the others, so that a grid over rules holds no setting twice.
"""

from __future__ import annotations

import copy
import itertools
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from hullscout.campaign.config import KINDS, MBTR_SECTION, CampaignConfig, check_config
from hullscout.contents import toml_of
from hullscout.errors import InvalidCampaignError, InvalidPlanError
from hullscout.files import sha256_of
from hullscout.selection import RULES

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

REPRESENTATION, PROBABILITY_KEY, BASELINE_KEY = "representation", "stop.failure_probability", "pool.baseline"
STRICTER = (0.02, 0.005, 0.001)
"""Failure probabilities that a plan goes on to, one after the other, where none of its settings is safe."""
SECTIONS = ("select", "stop", "cost", REPRESENTATION, MBTR_SECTION, "regression")


@dataclass(frozen=True, slots=True, kw_only=True)
class Axis:
    """A key of the campaign file and the values to try."""

    key: str
    values: tuple[Any, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """One setting of one campaign: its file with the varied values in place, and which of them this setting knows."""

    config: CampaignConfig
    varied: dict[str, Any]

    @property
    def failure_probability(self) -> float | None:
        """The accepted failure probability; None for rules that state none and do not look at it."""
        return self.config.stop.failure_probability if self.config.select.states_probability else None

    @property
    def played_to(self) -> float:
        """Failure probability to which a replay has to go on; 0 for rules that state none: their replays serve every one."""
        return self.failure_probability or 0.0

    @property
    def path_key(self) -> str:
        """Fingerprint of all that a replay depends on; settings that share it share their replays.

        Left out are the seed, the name, where the pool lies, where replays are played, and what only ends or judges a replay.
        """
        tree = self.config.model_dump(mode="json", exclude={"name", "seed", "executor"})
        del tree["pool"]["path"], tree["stop"]["failure_probability"]
        if not self.config.select.uses_hull_tolerance:
            del tree["stop"]["hull_tolerance"]
        return sha256_of(json.dumps(tree, sort_keys=True).encode())

    @property
    def pool_key(self) -> str:
        """What the pool and its features depend on beside the file: the baseline and the settings of the representation."""
        return f"{self.config.pool.baseline} {self.config.representation.model_dump_json()}"

    @property
    def without_prior(self) -> Setting:
        """The same without the pool's baseline."""
        config = self.config.model_copy(update={"pool": self.config.pool.model_copy(update={"baseline": None})})
        return Setting(config=config, varied={**self.varied, BASELINE_KEY: "none"})

    @property
    def stricter(self) -> Setting | None:
        """The same with the next smaller failure probability of `STRICTER`; None where there is none, or the rule states none."""
        now = self.failure_probability
        smaller = next((each for each in STRICTER if now is not None and each < now), None)
        if smaller is None:
            return None
        stop = self.config.stop.model_copy(update={"failure_probability": smaller})
        config = self.config.model_copy(update={"stop": stop})
        return Setting(config=config, varied={**self.varied, PROBABILITY_KEY: smaller})


def parse_axes(texts: Iterable[str], *, fixed: Iterable[str] = ()) -> tuple[Axis, ...]:
    """Read `section.key=value,value,...`, each value in TOML or a bare word; `fixed` was set for all of the plan.

    >>> parse_axes(["select.rule=threshold,random", "stop.failure_probability=0.1,0.05"])[1].values
    (0.1, 0.05)
    """
    axes: list[Axis] = []
    is_fixed = {_full(text.partition("=")[0].strip()) for text in fixed}
    for text in texts:
        key, separator, listed = (part.strip() for part in text.partition("="))
        section, _, name = key.partition(".")
        if not (separator and name and listed):
            raise InvalidPlanError(
                f"--grid {text}: expected section.key=value,value,..., for example select.rule=hull-posterior,threshold."
            )
        if section not in SECTIONS:
            raise InvalidPlanError(
                f"--grid {text}: {key} cannot be varied; expected a key of {', '.join(SECTIONS)}. "
                "Seeds are varied by --replicates; other pools are other campaign files."
            )
        if _full(key) in is_fixed or _full(key) in {_full(axis.key) for axis in axes}:
            other = "--set" if _full(key) in is_fixed else "another --grid"
            raise InvalidPlanError(f"--grid {text}: {key} is given by {other} as well. Give each key once.")
        values = _values(listed)
        if len({json.dumps(value) for value in values}) < len(values):
            raise InvalidPlanError(f"--grid {text}: expected different values, found one twice.")
        axes.append(Axis(key=key, values=values))
    return tuple(axes)


def settings_of(config: CampaignConfig, axes: Iterable[Axis], *, source: str) -> tuple[Setting, ...]:
    """All settings of a campaign on a grid, in the order of the axes, the last one fastest, each once.

    Where the rule is varied, keys of `[select]` in the file that another rule does not know are left out for it; the same holds
    for the representation. Errors name the campaign by `source`.
    """
    given, found = list(axes), dict[str, Setting]()
    for values in itertools.product(*(axis.values for axis in given)):
        tree, varied = _varied(config, dict(zip((axis.key for axis in given), values, strict=True)))
        text = ", ".join(f"{key}={value}" for key, value in varied.items())
        setting = Setting(config=check_config(tree, source=f"{source} with {text}" if text else source), varied=varied)
        found.setdefault(json.dumps(varied, sort_keys=True), setting)
    idle = [axis.key for axis in given if not any(axis.key in setting.varied for setting in found.values())]
    if idle:
        configs = [setting.config for setting in found.values()]
        noun, names = "rule", {one.select.rule for one in configs}
        if _full(idle[0]).startswith(REPRESENTATION):
            noun, names = REPRESENTATION, {one.representation.kind for one in configs}
        raise InvalidPlanError(
            f"--grid {idle[0]}: the {noun} {' and '.join(map(repr, sorted(names)))} does not use this key."
        )
    return tuple(found.values())


def _varied(config: CampaignConfig, wanted: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """The tree of the file with the wanted values in place, and those of them that the rule and the representation know."""
    tree = copy.deepcopy(config.model_dump(mode="json", exclude_unset=True))
    full = {_full(key): value for key, value in wanted.items()}
    known: dict[str, list[str]] = {}
    for section in ("select", REPRESENTATION):
        kinds = KINDS[section]
        is_varied = f"{section}.{kinds.key}" in full
        name = full.get(f"{section}.{kinds.key}", getattr(getattr(config, section), kinds.key))
        try:
            keys = kinds.settings_of(name)
        except InvalidCampaignError:
            continue  # said with the campaign's other faults
        if is_varied or section == "select":  # else an unknown key is named with those that are allowed
            known[section] = keys
        if is_varied:
            tree[section] = {key: value for key, value in tree.get(section, {}).items() if key in keys}
    rule = full.get("select.rule", config.select.rule)
    states_probability = "select" in known and RULES.kind(rule).states_probability
    varied: dict[str, Any] = {}
    for key, value in wanted.items():
        section, _, name = _full(key).partition(".")
        if name in known.get(section, [name]) and (key != PROBABILITY_KEY or states_probability):
            tree.setdefault(section, {})[name] = value
            varied[key] = value
    if any(key != _full(key) for key in varied):  # named in errors as it was typed
        tree[MBTR_SECTION] = tree.pop(REPRESENTATION)
    return tree, varied


def _full(key: str) -> str:
    """A key under the name that its section has in the settings."""
    section, dot, name = key.partition(".")
    return f"{REPRESENTATION}{dot}{name}" if section == MBTR_SECTION else key


def _values(listed: str) -> tuple[Any, ...]:
    try:
        return tuple(toml_of(f"values = [{listed}]")["values"])
    except ValueError:
        return tuple(_value(part.strip()) for part in listed.split(","))


def _value(text: str) -> Any:
    try:
        return toml_of(f"value = {text}")["value"]
    except ValueError:
        return text
