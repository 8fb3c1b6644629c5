"""The settings that a plan compares: a campaign file, and values to try for some of its keys.

A key that only some rules know (`select.factor`, `stop.failure_probability`) is varied for those rules and left alone for the
others, so that a grid over rules holds no setting twice.
"""

from __future__ import annotations

import copy
import hashlib
import itertools
import json
import tomllib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from hullscout.campaign.config import MBTR_SECTION, CampaignConfig, check_config
from hullscout.errors import InvalidCampaignError, InvalidPlanError
from hullscout.selection import RULES, Rule

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

SECTIONS = ("select", "stop", "cost", "representation", "mbtr", "regression")
RULE_KEY, PROBABILITY_KEY = "select.rule", "stop.failure_probability"


@dataclass(frozen=True, slots=True, kw_only=True)
class Axis:
    """A key of the campaign file and the values to try."""

    key: str
    values: tuple[Any, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """One setting of one campaign.

    Attributes:
        config: The campaign file with the varied values in place.
        varied: Value of each key of the grid that this setting's rule knows.
    """

    config: CampaignConfig
    varied: dict[str, Any]

    @property
    def failure_probability(self) -> float | None:
        """The accepted failure probability; None for rules that state none and do not look at it."""
        return self.config.stop.failure_probability if states_probability(self.config) else None

    @property
    def path_key(self) -> str:
        """Fingerprint of all that the path of a replay depends on; settings that share it share their paths.

        The seed, the name, where the pool lies and where replays are played are left out; so is what only ends a path or judges it.
        """
        tree = self.config.model_dump(
            mode="json", exclude={"name": True, "seed": True, "executor": True, "pool": {"path"}}
        )
        del tree["stop"]["failure_probability"]
        if not self.config.select.uses_hull_tolerance:
            del tree["stop"]["hull_tolerance"]
        return hashlib.sha256(json.dumps(tree, sort_keys=True).encode()).hexdigest()

    @property
    def features_key(self) -> str:
        """Fingerprint of what the features depend on."""
        return self.config.representation.model_dump_json()


def states_probability(config: CampaignConfig) -> bool:
    """Whether the rule states a failure probability and stops by it."""
    return config.select.states_probability


def parse_axes(texts: Iterable[str], *, fixed: Iterable[str] = ()) -> tuple[Axis, ...]:
    """Read `section.key=value,value,...`, each value in TOML or a bare word.

    Args:
        texts: One per axis.
        fixed: `section.key=value` that were set for all of the plan.

    Raises:
        InvalidPlanError: No such form, a key that cannot be varied, one that is given twice or is both fixed and varied.

    >>> parse_axes(["select.rule=threshold,random", "stop.failure_probability=0.1,0.05"])[1].values
    (0.1, 0.05)
    """
    axes: list[Axis] = []
    is_fixed = {text.partition("=")[0].strip() for text in fixed}
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
        if key in is_fixed or key in {axis.key for axis in axes}:
            other = "--set" if key in is_fixed else "another --grid"
            raise InvalidPlanError(f"--grid {text}: {key} is given by {other} as well. Give each key once.")
        values = _values(listed)
        if len({json.dumps(value) for value in values}) < len(values):
            raise InvalidPlanError(f"--grid {text}: expected different values, found one twice.")
        axes.append(Axis(key=key, values=values))
    return tuple(axes)


def settings_of(config: CampaignConfig, axes: Iterable[Axis], *, source: str) -> tuple[Setting, ...]:
    """All settings of a campaign on a grid, in the order of the axes, the last one fastest, each once.

    Where the rule is varied, keys of `[select]` in the file that another rule does not know are left out for it.

    Args:
        config: The campaign.
        axes: What to vary.
        source: Names the campaign in errors.

    Raises:
        InvalidCampaignError: A value is not allowed.
        InvalidPlanError: No rule of the grid knows a key.
    """
    given = list(axes)
    written = config.model_dump(mode="json", exclude_unset=True)
    found: dict[str, Setting] = {}
    used: set[str] = set()
    for values in itertools.product(*(axis.values for axis in given)):
        wanted = dict(zip((axis.key for axis in given), values, strict=True))
        tree, varied = _varied(written, wanted, default_rule=config.select.rule)
        text = ", ".join(f"{key}={value}" for key, value in varied.items())
        setting = Setting(config=check_config(tree, source=f"{source} with {text}" if text else source), varied=varied)
        used.update(varied)
        found.setdefault(json.dumps(varied, sort_keys=True), setting)
    idle = [axis.key for axis in given if axis.key not in used]
    if idle:
        rules = sorted({setting.config.select.rule for setting in found.values()})
        raise InvalidPlanError(f"--grid {idle[0]}: the rule {' and '.join(map(repr, rules))} does not use this key.")
    return tuple(found.values())


def _varied(
    written: Mapping[str, Any], wanted: Mapping[str, Any], *, default_rule: str
) -> tuple[dict[str, Any], dict[str, Any]]:
    """The tree of the file with the wanted values in place, and those of them that the rule knows."""
    tree = copy.deepcopy(dict(written))
    select = tree.setdefault("select", {})
    rule = wanted.get(RULE_KEY, select.get("rule", default_rule))
    kind = _kind(rule)
    known = None if kind is None else set(RULES.settings_of(rule))
    if known is not None:
        tree["select"] = {key: value for key, value in select.items() if key in known}
    tree["select"]["rule"] = rule
    varied: dict[str, Any] = {}
    for key, value in wanted.items():
        section, _, name = key.partition(".")
        is_foreign = section == "select" and known is not None and name not in known
        is_idle = key == PROBABILITY_KEY and not (kind is not None and kind.states_probability)
        if not (is_foreign or is_idle):
            if section == MBTR_SECTION and "representation" in tree:
                tree[MBTR_SECTION] = tree.pop("representation")
            tree.setdefault(section, {})[name] = value
            varied[key] = value
    return tree, varied


def _kind(rule: str) -> type[Rule] | None:
    try:
        return RULES.kind(rule)
    except InvalidCampaignError:
        return None  # said with the campaign's other faults


def _values(listed: str) -> tuple[Any, ...]:
    try:
        return tuple(tomllib.loads(f"values = [{listed}]")["values"])
    except tomllib.TOMLDecodeError:
        return tuple(_value(part.strip()) for part in listed.split(","))


def _value(text: str) -> Any:
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text
