"""The campaign file: TOML in, checked settings out. It opens no pool and starts no calculation.

`InvalidCampaignError` names every fault with the key's full name, what was found and what is allowed, all of them at once.
"""

from __future__ import annotations

import difflib
import re
from collections import Counter
from typing import TYPE_CHECKING, Annotated, Any, Self, get_args

from pydantic import (
    BeforeValidator,
    Field,
    SerializeAsAny,
    ValidationError,
    field_validator,
    model_validator,
)

from hullscout.campaign.resuming import Resuming, verdict_on
from hullscout.contents import MAX_DEPTH, own_text, toml_of
from hullscout.display import is_visible
from hullscout.errors import InvalidCampaignError, InvalidSettingError, UnsafeFileError
from hullscout.oracle import AnyExecutor, AnyOracle, PriorSettings, ProcessesSettings, TableSettings
from hullscout.pool import FORMATS, MAX_ELEMENTS, Columns, CompositionAxis, EnergyMeaning, axis_of
from hullscout.pool.columns import names_of_columns
from hullscout.representation import REPRESENTATIONS, MbtrRepresentation, Representation
from hullscout.selection import RULES, CostSettings, HullPosteriorRule, Rule, StopSettings, SurrogateSettings
from hullscout.settings import Kinds, Settings, by_key, look_beside

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from pydantic_core import ErrorDetails


ORACLES: Kinds[Any] = Kinds(
    section="oracle", key="kind", base=Settings, ours=by_key("kind", get_args(AnyOracle)), default="table"
)
EXECUTORS: Kinds[Any] = Kinds(
    section="executor", key="kind", base=Settings, ours=by_key("kind", get_args(AnyExecutor)), default="processes"
)
KINDS: dict[str, Kinds[Any]] = {kinds.section: kinds for kinds in (RULES, ORACLES, EXECUTORS, REPRESENTATIONS)}
"""The sections of which there are several kinds."""
MBTR_SECTION = "mbtr"
"""How campaign files name the section `[representation]` that hold no other than the MBTR."""


class PoolSection(Settings):
    """Where the candidates are."""

    path: str = Field(min_length=1)
    """File or folder of the candidates, relative to the campaign file."""
    format: str | None = None
    """`extxyz`, `ase`, `entries`, `files`, `vasprun`, `calculations`, `atat` or `traj`; told by what is there if not given."""
    energy: str | None = Field(default=None, min_length=1)
    """Column that states the energy; `energy`, or one whose name says its unit, if not given."""
    energy_unit: str | None = None
    """`eV`, `meV`, `Ry`, `Ha`, `kJ/mol` or `kcal/mol` per cell, or with `/atom` behind; eV, or what the column's name says."""
    energy_kind: str | None = None
    """`total` or `formation` (0 for the elements)."""
    references: dict[str, float] = Field(default_factory=dict)
    """Energies in eV/atom of elements of which the pool holds no structure, by symbol: known, so that nothing is calculated."""
    cost: str | None = Field(default=None, min_length=1)
    """Column that states what computing a candidate costs, above 0, in any unit."""
    baseline: Annotated[str | tuple[str, ...] | None, BeforeValidator(names_of_columns)] = None
    """Column that states a cheaper method's energy, eV per cell; or a list of several."""
    allow_mixed_settings: bool = False
    """Whether energies computed with different settings (functional, cutoff, ...) may stand in one pool."""
    known: tuple[str, ...] = Field(default=(), strict=False)
    """Folders of campaigns, and pools with energies, whose answers are known before anything is asked; as `path`."""
    leave_out_faults: bool = False
    """Whether what no campaign can use is left out of the pool, and said, instead of being an error."""

    @field_validator("format")
    @classmethod
    def _is_known(cls, name: str | None) -> str | None:
        if name is not None and name not in FORMATS:
            raise ValueError(f"expected one of {', '.join(map(repr, FORMATS))}")
        return name

    @field_validator("energy_unit")
    @classmethod
    def _is_a_unit(cls, unit: str | None) -> str | None:
        return EnergyMeaning(unit=unit).unit

    @field_validator("energy_kind")
    @classmethod
    def _is_a_kind(cls, kind: str | None) -> str | None:
        return EnergyMeaning(kind=kind).kind

    @property
    def energies(self) -> EnergyMeaning:
        """What the energies of the pool are."""
        return EnergyMeaning(
            column=self.energy, unit=self.energy_unit, kind=self.energy_kind, references=self.references
        )

    @model_validator(mode="after")
    def _means_one_thing(self) -> Self:
        _ = self.energies
        return self

    @field_validator("cost", "baseline")
    @classmethod
    def _is_not_the_energy(cls, column: str | tuple[str, ...] | None) -> str | tuple[str, ...] | None:
        if column == "energy" or (isinstance(column, tuple) and "energy" in column):
            raise ValueError("expected a column other than the energy that is looked up")
        return column

    @property
    def columns(self) -> Columns:
        """Which columns of the pool are read as what."""
        return Columns(cost=self.cost, baseline=self.baseline)


class CampaignConfig(Settings):
    """A whole campaign file."""

    name: str = Field(min_length=1)
    """Name of the campaign, for people and for the default output folder."""
    elements: tuple[str, ...] = Field(strict=False)
    """Two to five chemical symbols; of two, x is the atomic fraction of the second."""
    seed: int = Field(default=0, ge=0, lt=2**63)
    """Seed of every random choice."""
    ends: tuple[str, ...] = Field(default=(), strict=False)
    """Formulas that the compositions are between, where it is not the elements: `["Zr", "ZrN"]`."""
    limits: dict[str, Annotated[tuple[float, float], Field(strict=False)]] = Field(default_factory=dict)
    """Lowest and highest atomic fraction by element; what is beyond is no candidate, ends excepted."""
    pool: PoolSection
    prior: PriorSettings = PriorSettings()
    oracle: Annotated[AnyOracle, BeforeValidator(ORACLES.build)] = TableSettings()
    executor: Annotated[AnyExecutor, BeforeValidator(EXECUTORS.build)] = ProcessesSettings()
    select: Annotated[SerializeAsAny[Rule], BeforeValidator(RULES.build)] = HullPosteriorRule()
    stop: StopSettings = StopSettings()
    cost: CostSettings = CostSettings()
    representation: Annotated[SerializeAsAny[Representation], BeforeValidator(REPRESENTATIONS.build)] = (
        MbtrRepresentation()
    )
    regression: SurrogateSettings = SurrogateSettings()

    @field_validator("elements")
    @classmethod
    def _are_elements(cls, elements: tuple[str, ...]) -> tuple[str, ...]:
        from ase.data import atomic_numbers  # noqa: PLC0415  slow to import

        for symbol in elements:
            if symbol == "X":
                raise ValueError(
                    "'X' is a vacancy, a site without an atom: leave it out, and see `ends` for alloys of vacancies"
                )
            if atomic_numbers.get(symbol, 0) < 1:
                raise ValueError(f"{symbol!r} is no chemical symbol")
        twice = [symbol for symbol, count in Counter(elements).items() if count > 1]
        if not 2 <= len(elements) <= MAX_ELEMENTS:
            raise ValueError(f"expected two to five chemical symbols, found {len(elements)}")
        if twice:
            raise ValueError(f"expected different elements, found {' and '.join(twice)} more than once")
        return elements

    @field_validator("name")
    @classmethod
    def _is_printable(cls, name: str) -> str:
        if not is_visible(name):
            raise ValueError("expected printable characters on one line")
        return name

    @property
    def done(self) -> str:
        """What was done with a candidate whose energy is an answer: `looked up` in a table, or `calculated`."""
        return "looked up" if self.oracle.kind == "table" else "calculated"

    @property
    def axis(self) -> CompositionAxis:
        """What compositions are measured by."""
        return axis_of(self.elements, self.ends, self.limits)

    @model_validator(mode="after")
    def _has_an_axis(self) -> Self:
        try:
            _ = self.axis
        except InvalidSettingError as error:
            raise ValueError(
                f"{'limits' if 'limits' in str(error) else 'ends'}: {str(error).removesuffix('.')}"
            ) from error
        return self

    @model_validator(mode="after")
    def _uses_the_costs_of_the_pool(self) -> Self:
        if self.pool.cost is not None and self.cost.kind != "column":
            raise ValueError(
                f'pool.cost names a column that is not used with cost.kind = "{self.cost.kind}"; set it to "column"'
            )
        return self

    @model_validator(mode="after")
    def _goes_with_its_prior(self) -> Self:
        section = self.pool
        if fault := self.prior.fault_with(oracle=self.oracle.kind, references=section.references, known=section.known):
            raise ValueError(fault)
        return self

    @model_validator(mode="after")
    def _gives_moments_to_its_elements(self) -> Self:
        foreign = [symbol for symbol in getattr(self.oracle, "magmoms", {}) if symbol not in self.elements]
        if foreign:
            raise ValueError(
                f"oracle.magmoms: expected moments of {' and '.join(self.elements)}, found one of {foreign[0]!r}"
            )
        return self

    @property
    def folder_name(self) -> str:
        """The name as a folder: at most 80 letters, digits, dots, dashes and underscores."""
        return re.sub(r"[^\w.-]+", "-", self.name)[:80].strip("-.") or "campaign"

    def differences(self, other: CampaignConfig) -> tuple[str, ...]:
        """Full names of the settings that differ, with both values.

        What may be another one at any time, as where calculations run, does not count: see `resuming`.
        """
        mine, theirs = _flat(self.model_dump()), _flat(other.model_dump())
        return tuple(
            f"{key}: {theirs.get(key)!r} before, {mine.get(key)!r} now"
            for key in sorted(mine.keys() | theirs.keys())
            if verdict_on(key) is not Resuming.FREE and mine.get(key) != theirs.get(key)
        )


def campaign_text(path: Path) -> str:
    """What a campaign file holds; `InvalidCampaignError` where it is no file of text, or cannot be read."""
    try:
        return own_text(path)
    except FileNotFoundError as error:
        raise InvalidCampaignError(f"There is no campaign file {path}. Give the path of a .toml file.") from error
    except UnsafeFileError as error:
        raise InvalidCampaignError(f"{error} A campaign file is a .toml file.") from error
    except OSError as error:
        raise InvalidCampaignError(
            f"The campaign file {path} cannot be read: {error.strerror}. Give the path of a .toml file."
        ) from error
    except UnicodeDecodeError as error:
        raise InvalidCampaignError(
            f"{path} is no campaign file: expected UTF-8 text in TOML, found other bytes. Save it as UTF-8."
        ) from error


def load_config(
    path: Path, overrides: Iterable[str] = (), *, seed: int | None = None, text: str | None = None
) -> CampaignConfig:
    """Read a campaign file and check it.

    Args:
        text: What the file holds, where it was read before.
        overrides: Settings to replace, as `section.key=value`, the value in TOML (or a bare word for a string).
        seed: Replaces the file's seed.
    """
    try:
        tree = toml_of(campaign_text(path) if text is None else text)
    except ValueError as error:
        raise InvalidCampaignError(f"{path} is not valid TOML: {error}.") from error
    for setting in overrides:
        _override(tree, setting)
    if seed is not None:
        tree["seed"] = seed
    look_beside(path.parent)
    return check_config(tree, source=str(path))


def check_new_config(text: str, *, source: str) -> CampaignConfig:
    """Check the text of a campaign file that was not written yet."""
    return check_config(toml_of(text), source=source)


def check_config(tree: Mapping[str, Any], *, source: str, is_own: bool = True) -> CampaignConfig:
    """Check a parsed campaign file; `source` names it in the error.

    What a folder keeps is not the user's own word: a rule or representation that it names by a dotted path is not imported for it.
    """
    sections, faults = dict(tree), []
    if MBTR_SECTION in sections:
        if "representation" in sections:
            faults.append(
                f"{MBTR_SECTION}: is the section representation by its former name, which is there too. Give one."
            )
        sections.setdefault("representation", sections.pop(MBTR_SECTION))
    if not is_own:
        sections["oracle"] = _of_today(sections.get("oracle", {}))
    for name, kinds in KINDS.items():
        if name in sections:
            sections[name] = sections[name] if is_own else kinds.kept(sections[name])
            found = _faults_of_kind(kinds, sections[name])
            faults += found
            if found:
                del sections[name]
    try:
        config = CampaignConfig.model_validate(sections)
    except ValidationError as error:
        faults += [_sentence(fault, [*map(str, fault["loc"])]) for fault in error.errors(include_url=False)]
    if not faults:
        return config
    if MBTR_SECTION in tree:
        faults = [re.sub(r"^representation\.", f"{MBTR_SECTION}.", fault) for fault in faults]
    raise InvalidCampaignError(f"{source} is not a valid campaign:\n" + "\n".join(f"  {fault}" for fault in faults))


def _of_today(oracle: Any) -> Any:
    """The section `oracle` as a folder keeps it, a name of earlier versions replaced by what it meant."""
    is_former = isinstance(oracle, dict) and oracle.get("relax") == "volume"
    return {**oracle, "relax": "volume-and-positions"} if is_former else oracle


def executor_of(overrides: Iterable[str], *, n_workers: int | None = None) -> AnyExecutor:
    """The executor that settings of the section `executor` name, as they stand behind --set."""
    tree: dict[str, Any] = {}
    for setting in overrides:
        _override(tree, setting)
    if foreign := [name for name in tree if name != "executor"]:
        raise InvalidCampaignError(f"--set {foreign[0]}: expected settings of the section executor alone.")
    section = tree.get("executor", {})
    if n_workers is not None:
        section["workers"] = n_workers
    if faults := _faults_of_kind(EXECUTORS, section):
        raise InvalidCampaignError("\n".join(faults))
    executor: AnyExecutor = EXECUTORS.build(section)
    return executor


def _faults_of_kind(kinds: Kinds[Any], content: Any) -> list[str]:
    """What is wrong with a section of which there are several kinds."""
    unknown: list[str] = []
    try:
        if isinstance(content, dict):
            allowed = kinds.settings_of(content.get(kinds.key, kinds.default))
            unknown = [_unknown_key(f"{kinds.section}.{key}", allowed) for key in content if key not in allowed]
            content = {key: value for key, value in content.items() if key in allowed}
        kinds.build(content)
    except InvalidCampaignError as error:
        return [str(error)]
    except ValidationError as error:
        faults = error.errors(include_url=False)
        return unknown + [_sentence(fault, [kinds.section, *map(str, fault["loc"])]) for fault in faults]
    return unknown


def _override(tree: dict[str, Any], text: str) -> None:
    key, separator, value = text.partition("=")
    parts = [part.strip() for part in key.split(".")]
    if not separator or not all(parts) or len(parts) > MAX_DEPTH:
        raise InvalidCampaignError(f"--set {text}: expected section.key=value, for example select.batch=8.")
    try:
        parsed: Any = toml_of(f"value = {value}")["value"]
    except ValueError:
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


def _unknown_key(key: str, allowed: list[str]) -> str:
    close = difflib.get_close_matches(key.rpartition(".")[2], allowed, n=1)
    return f"{key}: unknown key. Allowed here: {', '.join(allowed)}.{f' Did you mean {close[0]!r}?' if close else ''}"


def _sentence(fault: ErrorDetails, where: list[str]) -> str:
    """A fault that pydantic found, in a sentence."""
    key = ".".join(where)
    match fault["type"]:
        case "extra_forbidden":
            return _unknown_key(key, _allowed_keys(where[:-1]))
        case "missing":
            return f"{key}: missing, and it has no default."
        case "value_error" if not key:
            return f"{fault['ctx']['error']}."
        case "value_error":
            return f"{key}: {fault['ctx']['error']}; found {fault['input']!r}."
        case _:
            message = fault["msg"].replace("Input should be", "expected").replace("Tuple should have", "expected")
            return f"{key}: {message}, found {fault['input']!r}."


def _allowed_keys(section: list[str]) -> list[str]:
    model: type[Settings] = CampaignConfig
    for part in section:
        model = type(CampaignConfig.model_fields[part].default) if part != "pool" else PoolSection
    return list(model.model_fields)
