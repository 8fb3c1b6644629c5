"""The campaign file: TOML in, checked settings out. It opens no pool and starts no calculation.

Every fault is named with the key's full name, what was found and what is allowed, all of them at once.
"""

from __future__ import annotations

import difflib
import re
import tomllib
from typing import TYPE_CHECKING, Annotated, Any, Self, get_args

from pydantic import (
    Field,
    NonNegativeInt,
    ValidationError,
    field_validator,
    model_validator,
)

from hullscout.errors import InvalidCampaignError
from hullscout.oracle import AnyExecutor, AnyOracle, ProcessesSettings, TableSettings
from hullscout.pool import PoolFormat
from hullscout.selection.costs import CostSettings
from hullscout.selection.hull_posterior import HullPosteriorRule
from hullscout.selection.stopping import StopSettings
from hullscout.selection.surrogate import SurrogateSettings
from hullscout.selection.threshold import HullThresholdRule, ThresholdRule
from hullscout.selection.yardsticks import GreedyRule, RandomRule, VarianceRule
from hullscout.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from pydantic_core import ErrorDetails

AnyRule = HullPosteriorRule | ThresholdRule | HullThresholdRule | GreedyRule | VarianceRule | RandomRule
DEFAULT_RULE = HullPosteriorRule()
TAGGED: dict[str, tuple[str, tuple[type[Settings], ...]]] = {
    "select": ("rule", get_args(AnyRule)),
    "oracle": ("kind", get_args(AnyOracle)),
    "executor": ("kind", get_args(AnyExecutor)),
}
"""Sections of which there are several kinds: the key that names the kind, and the kinds."""
RULES: tuple[type[Settings], ...] = get_args(AnyRule)


class PoolSection(Settings):
    """Where the candidates are."""

    path: str = Field(min_length=1)
    """File or folder of the candidates, relative to the campaign file."""
    format: Annotated[PoolFormat, Field(strict=False)] | None = None
    """`extxyz`, `ase`, `entries`, `files` or `vasprun`; told by what is there if not given."""
    cost: str | None = Field(default=None, min_length=1)
    """Column that states what computing a candidate costs, above 0, in any unit."""
    baseline: str | None = Field(default=None, min_length=1)
    """Column that states a cheaper method's energy, eV per cell."""
    allow_mixed_settings: bool = False
    """Whether energies computed with different settings (functional, cutoff, ...) may stand in one pool."""

    @field_validator("cost", "baseline")
    @classmethod
    def _is_not_the_energy(cls, column: str | None) -> str | None:
        if column == "energy":
            raise ValueError("expected a column other than the energy that is looked up")
        return column


class MbtrSection(Settings):
    """The representation: pair distances and triple angles, broadened."""

    pair_cutoff: float = Field(default=10.0, ge=3.0, le=20.0)
    """Range of the two-body term, Angstrom."""
    triple_cutoff: float = Field(default=8.0, ge=3.0, le=12.0)
    """Range of the three-body term, Angstrom."""


class CampaignConfig(Settings):
    """A whole campaign file."""

    name: str = Field(min_length=1)
    """Name of the campaign, for people and for the default output folder."""
    elements: tuple[str, str] = Field(strict=False)
    """The two chemical symbols; x is the atomic fraction of the second."""
    seed: NonNegativeInt = 0
    """Seed of every random choice."""
    pool: PoolSection
    oracle: Annotated[AnyOracle, Field(discriminator="kind")] = TableSettings()
    executor: Annotated[AnyExecutor, Field(discriminator="kind")] = ProcessesSettings()
    select: Annotated[AnyRule, Field(discriminator="rule")] = DEFAULT_RULE
    stop: StopSettings = StopSettings()
    cost: CostSettings = CostSettings()
    mbtr: MbtrSection = MbtrSection()
    regression: SurrogateSettings = SurrogateSettings()

    @field_validator("elements")
    @classmethod
    def _are_two_elements(cls, elements: tuple[str, str]) -> tuple[str, str]:
        from ase.data import atomic_numbers  # noqa: PLC0415  slow to import

        for symbol in elements:
            if atomic_numbers.get(symbol, 0) < 1:
                raise ValueError(f"{symbol!r} is no chemical symbol")
        if elements[0] == elements[1]:
            raise ValueError("the two elements must differ")
        return elements

    @field_validator("name")
    @classmethod
    def _is_printable(cls, name: str) -> str:
        if not name.isprintable():
            raise ValueError("expected printable characters on one line")
        return name

    @model_validator(mode="before")
    @classmethod
    def _fill_in_the_default_kinds(cls, tree: Any) -> Any:
        if not isinstance(tree, dict):
            return tree
        defaults = {"select": DEFAULT_RULE.rule, "oracle": "table", "executor": "processes"}
        return {
            section: {TAGGED[section][0]: defaults[section], **content}
            if section in TAGGED and isinstance(content, dict)
            else content
            for section, content in tree.items()
        }

    @model_validator(mode="after")
    def _uses_the_costs_of_the_pool(self) -> Self:
        if self.pool.cost is not None and self.cost.kind != "column":
            raise ValueError(
                f'pool.cost names a column that is not used with cost.kind = "{self.cost.kind}"; set it to "column"'
            )
        return self

    @property
    def folder_name(self) -> str:
        """The name as a folder: at most 80 letters, digits, dots, dashes and underscores."""
        return re.sub(r"[^\w.-]+", "-", self.name)[:80].strip("-.") or "campaign"

    def differences(self, other: CampaignConfig) -> tuple[str, ...]:
        """Full names of the settings that differ, with both values.

        Where the pool lies, in what format, and where calculations run do not count: they may change when a campaign is resumed.
        """
        mine, theirs = _flat(self.model_dump()), _flat(other.model_dump())
        return tuple(
            f"{key}: {theirs.get(key)!r} before, {mine.get(key)!r} now"
            for key in sorted(mine.keys() | theirs.keys())
            if key not in {"pool.path", "pool.format"}
            and not key.startswith("executor.")
            and mine.get(key) != theirs.get(key)
        )


def load_config(path: Path, overrides: Iterable[str] = (), *, seed: int | None = None) -> CampaignConfig:
    """Read a campaign file and check it.

    Args:
        path: The TOML file.
        overrides: Settings to replace, as `section.key=value`, the value in TOML (or a bare word for a string).
        seed: Replaces the file's seed.

    Raises:
        InvalidCampaignError: The file is missing, is no TOML, or holds unknown keys or impossible values.
    """
    try:
        tree = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise InvalidCampaignError(f"There is no campaign file {path}. Give the path of a .toml file.") from error
    except OSError as error:
        raise InvalidCampaignError(f"The campaign file {path} cannot be read: {error.strerror}.") from error
    except UnicodeDecodeError as error:
        raise InvalidCampaignError(
            f"{path} is no campaign file: expected UTF-8 text in TOML, found other bytes."
        ) from error
    except tomllib.TOMLDecodeError as error:
        raise InvalidCampaignError(f"{path} is not valid TOML: {error}.") from error
    for text in overrides:
        _override(tree, text)
    if seed is not None:
        tree["seed"] = seed
    return check_config(tree, source=str(path))


def check_config(tree: Mapping[str, Any], *, source: str) -> CampaignConfig:
    """Check a parsed campaign file; `source` names it in the error.

    Raises:
        InvalidCampaignError: With every fault on a line of its own.
    """
    try:
        return CampaignConfig.model_validate(tree)
    except ValidationError as error:
        faults = "\n".join(f"  {_sentence(fault)}" for fault in error.errors(include_url=False))
        raise InvalidCampaignError(f"{source} is not a valid campaign:\n{faults}") from error


def _override(tree: dict[str, Any], text: str) -> None:
    key, separator, value = text.partition("=")
    parts = [part.strip() for part in key.split(".")]
    if not separator or not all(parts):
        raise InvalidCampaignError(f"--set {text}: expected section.key=value, for example select.batch=8.")
    try:
        parsed: Any = tomllib.loads(f"value = {value}")["value"]
    except tomllib.TOMLDecodeError:
        parsed = value.strip()
    for part in parts[:-1]:
        tree = tree.setdefault(part, {})
        if not isinstance(tree, dict):
            raise InvalidCampaignError(f"--set {text}: {part} is no section; expected section.key=value.")
    tree[parts[-1]] = parsed


def _flat(tree: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in tree.items():
        flat.update(_flat(value, f"{prefix}{key}.") if isinstance(value, dict) else {f"{prefix}{key}": value})
    return flat


def _sentence(fault: ErrorDetails) -> str:
    where = [str(part) for part in fault["loc"]]
    tag = where.pop(1) if where and where[0] in TAGGED and len(where) > 1 else None
    key = ".".join(where)
    match fault["type"]:
        case "extra_forbidden":
            allowed = _allowed_keys(where[:-1], tag)
            close = difflib.get_close_matches(where[-1], allowed, n=1)
            hint = f" Did you mean {close[0]!r}?" if close else ""
            return f"{key}: unknown key. Allowed here: {', '.join(allowed)}.{hint}"
        case "missing":
            return f"{key}: missing, and it has no default."
        case "union_tag_invalid" | "union_tag_not_found":
            name, kinds = TAGGED[key]
            names = ", ".join(repr(kind.model_fields[name].default) for kind in kinds)
            return f"{key}.{name}: expected one of {names}, found {fault['input'].get(name)!r}."
        case "value_error" if not key:
            return f"{fault['ctx']['error']}."
        case "value_error":
            return f"{key}: {fault['ctx']['error']}; found {fault['input']!r}."
        case _:
            message = fault["msg"].replace("Input should be", "expected").replace("Tuple should have", "expected")
            return f"{key}: {message}, found {fault['input']!r}."


def _allowed_keys(section: list[str], tag: str | None) -> list[str]:
    if tag is not None:
        name, kinds = TAGGED[section[0]]
        kind = next(model for model in kinds if model.model_fields[name].default == tag)
        return [name, *(field for field in kind.model_fields if field != name)]
    model: type[Settings] = CampaignConfig
    for part in section:
        model = type(CampaignConfig.model_fields[part].default) if part != "pool" else PoolSection
    return list(model.model_fields)
