"""The sections of a campaign file: frozen, strict, no unknown keys, no NaN; and those of which there are several kinds.

A section is also the object that does the work (a rule, say), so that a setting's name, range and default stand in one place. A
kind is one of ours, by its name, or anybody's class, by its dotted path.
"""

from __future__ import annotations

import importlib
import inspect
import sys
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Generic, NoReturn, TypeVar

from pydantic import BaseModel, ConfigDict, Field, create_model, model_serializer

from hullscout.errors import InvalidCampaignError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from types import ModuleType

_BESIDE: list[Path] = []  # folders of campaign files, the last one read at the end


class Settings(BaseModel):
    """A frozen group of checked settings; its docstring and field descriptions are the reference for users."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, allow_inf_nan=False)


MAX_COUNT = 1_000_000
"""The largest whole number that a setting takes where it says no other: what arithmetic and memory bear."""
MAX_AMOUNT = 1e9
"""The largest number that a setting takes where it says no other."""
Count = Annotated[int, Field(gt=0, le=MAX_COUNT)]
CountOrZero = Annotated[int, Field(ge=0, le=MAX_COUNT)]
Amount = Annotated[float, Field(gt=0, le=MAX_AMOUNT)]
S = TypeVar("S", bound=Settings)


class NotImported(Settings):
    """A section as a campaign's folder keeps it, whose class nobody here has imported: what it says, and nothing that works."""

    stated: dict[str, Any]
    refused: str
    """What is said where more is wanted of it."""

    @model_serializer
    def _as_stated(self) -> dict[str, Any]:
        return dict(self.stated)


def look_beside(folder: str | Path | None) -> None:
    """Let `object_at` find modules that lie in the folder of a campaign file, where neither Python nor a package has one."""
    if folder is not None:
        place = Path(folder).resolve()
        _BESIDE[:] = [*(other for other in _BESIDE if other != place), place]


def object_at(path: str) -> Any:
    """The object at a dotted path, as `package.module.Name`; see `look_beside`."""
    module, _, name = path.rpartition(".")
    top = module.partition(".")[0]
    beside = next((folder for folder in reversed(_BESIDE) if _holds(folder, top)), None)
    try:
        return getattr(_imported(module, beside), name)
    except (AttributeError, ModuleNotFoundError) as error:
        found = getattr(sys.modules.get(top), "__file__", None)
        if beside is None or found is None or _lies_in(beside, Path(found).resolve(), top):
            raise
        raise ImportError(f"{error}. {found} goes before what is in {beside}: give your module another name") from error


def _holds(folder: Path, top: str) -> bool:
    try:
        return bool(top) and ((folder / f"{top}.py").is_file() or (folder / top / "__init__.py").is_file())
    except OSError:  # of another user, who lets nobody look
        return False


def _lies_in(folder: Path, file: Path, top: str) -> bool:
    return file.parent in (folder, folder / top)


def _imported(module: str, beside: Path | None) -> ModuleType:
    """A module; the folder beside goes to the end of where modules are looked for, so that it hides none of them."""
    top = module.partition(".")[0]
    try:
        found = importlib.import_module(module)
    except ModuleNotFoundError as error:
        if beside is None or error.name != top:
            raise
        if str(beside) not in sys.path:
            sys.path.append(str(beside))
        importlib.invalidate_caches()
        found = importlib.import_module(module)
    loaded = Path(getattr(sys.modules[top], "__file__", None) or top).resolve()
    others = [folder for folder in _BESIDE if folder != beside and _lies_in(folder, loaded, top)]
    if beside is not None and others and not _lies_in(beside, loaded, top):
        raise ImportError(
            f"{top!r} was loaded from {others[0]} before, and another lies in {beside}: rename one of them"
        )
    return found


def dotted_path(kind: type) -> str:
    """Where `object_at` finds a class."""
    return f"{kind.__module__}.{kind.__qualname__}"


def by_key(key: str, classes: Iterable[type[Settings]]) -> dict[str, type[Settings]]:
    """Kinds of a section by the default of the key that names them."""
    return {str(kind.model_fields[key].default): kind for kind in classes}


@dataclass(frozen=True, slots=True, kw_only=True)
class Kinds(Generic[S]):
    """A section of which there are several kinds.

    Attributes:
        key: The key that names the kind; a field of every kind.
        ours: Those of ours by name: the class, or where it is loaded from.
        is_open: Whether anybody's class is a kind by its dotted path.
    """

    section: str
    key: str
    base: type[S]
    ours: Mapping[str, str | type[S]]
    default: str
    is_open: bool = False

    def kind(self, name: object) -> type[S]:
        """The class of a kind; `InvalidCampaignError` where there is none of this name, or it cannot be used."""
        if isinstance(name, str) and name in self.ours:
            found = self.ours[name]
            return object_at(found) if isinstance(found, str) else found
        if not (self.is_open and isinstance(name, str) and "." in name):
            ours = ", ".join(map(repr, self.ours))
            other = ", or the dotted path of a class" if self.is_open else ""
            raise InvalidCampaignError(f"{self.section}.{self.key}: expected one of {ours}{other}, found {name!r}.")
        try:
            given = object_at(name)
        except Exception as error:
            raise InvalidCampaignError(
                f"{self.section}.{self.key}: {name!r} cannot be imported ({type(error).__name__}: {error}). Is its package "
                "installed, or its module beside the campaign file?"
            ) from error
        return self._adapted(given, name)

    def build(self, content: object) -> S:
        """The object that a section describes; one that is a kind already is taken as it is."""
        if isinstance(content, self.base) and hasattr(content, self.key):
            return content
        if not isinstance(content, dict):
            raise InvalidCampaignError(
                f"{self.section}: expected a table of settings, or an object of a subclass of {self.base.__name__}, "
                f"found {content!r}."
            )
        tree = {self.key: self.default, **content}
        return self.kind(tree[self.key]).model_validate(tree)

    def kept(self, content: Any) -> Any:
        """A section that a folder keeps: where it names a class of which this process has no module yet, as `NotImported`."""
        name = content.get(self.key) if isinstance(content, dict) else None
        if not (self.is_open and isinstance(name, str) and "." in name) or name.rpartition(".")[0] in sys.modules:
            return content
        refused = (
            f"{self.section}.{self.key}: {name!r} is what the campaign's folder names, and looking at a folder imports nothing. If "
            "it is yours, give --trust; in Python import its module first, or give trust=True."
        )
        return _not_imported(self.base)(**{self.key: name, "stated": content, "refused": refused})

    def settings_of(self, name: object) -> list[str]:
        """The keys of a kind in the campaign file, that which names it first; what is filled in for it is none."""
        fields = self.kind(name).model_fields
        return [self.key, *(key for key, field in fields.items() if key != self.key and not field.exclude)]

    def _adapted(self, given: Any, name: str) -> type[S]:
        """A class as it is where it is of the base; else one of the base with its settings, which hands on every call."""
        wanted = sorted(self.base.__abstractmethods__)
        unwritten = getattr(given, "__abstractmethods__", ())
        missing = [method for method in wanted if method in unwritten or not callable(getattr(given, method, None))]
        if isinstance(given, type) and issubclass(given, self.base) and not missing:
            return given
        if not isinstance(given, type) or missing:
            raise InvalidCampaignError(
                f"{self.section}.{self.key}: expected a class with {' and '.join(wanted)}, found {name!r}"
                f"{f' without {missing[0]}' if isinstance(given, type) else ', which is no class'}."
            )
        return _handing_on(self.base, given)


@cache
def _not_imported(base: type[Settings]) -> type[NotImported]:
    """A class of the base that stands for one that was not imported."""

    def refuse(self: NotImported, *_: object, **__: object) -> NoReturn:
        raise InvalidCampaignError(self.refused)

    methods = dict.fromkeys(getattr(base, "__abstractmethods__", ()), refuse)
    return type("NotImported", (NotImported, base), {"__module__": __name__, **methods})


@cache
def _handing_on(base: type[S], given: type) -> type[S]:
    """A class of the base whose fields are the arguments of another one, of which it makes one at each call."""
    fields: dict[str, Any] = {
        parameter.name: (
            Any if parameter.annotation is parameter.empty else parameter.annotation,
            ... if parameter.default is parameter.empty else parameter.default,
        )
        for parameter in inspect.signature(given, eval_str=True).parameters.values()
        if parameter.kind in (parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY)
    }
    if "elements" in fields:
        fields["elements"] = (tuple[str, ...], Field(default=(), exclude=True))
    own = {
        member: getattr(given, member) if member in base.__class_vars__ else _handed_on(member)
        for member in dir(given)
        if member in base.__class_vars__
        or (not member.startswith("_") and callable(getattr(given, member)) and member not in fields)
    }
    shape = {
        "__module__": given.__module__,
        "model_config": ConfigDict(validate_default=True),
        "__doc__": given.__doc__,
    }
    adapted = type(given.__name__, (base,), {**shape, **own})
    model: type[S] = create_model(given.__name__, __base__=adapted, **fields)  # names are data
    model._given, model._own = given, tuple(fields)  # type: ignore[attr-defined]  # noqa: SLF001  what is handed on to
    return model


def _handed_on(member: str) -> Any:
    def call(self: Any, *args: Any, **kwargs: Any) -> Any:
        made = self._given(**{name: getattr(self, name) for name in self._own})
        return getattr(made, member)(*args, **kwargs)

    call.__name__ = member
    return call
