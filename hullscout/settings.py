"""The base of every section of a campaign file: frozen, strict, no unknown keys, no NaN; and what a dotted path in one names.

A section is also the object that does the work (a rule, say), so that a setting's name, range and default stand in one place.
"""

from importlib import import_module
from typing import Any

from pydantic import BaseModel, ConfigDict


class Settings(BaseModel):
    """A frozen group of checked settings; its docstring and field descriptions are the reference for users."""

    model_config = ConfigDict(
        extra="forbid", strict=True, frozen=True, allow_inf_nan=False, use_attribute_docstrings=True
    )


def object_at(path: str) -> Any:
    """The object at a dotted path, as `package.module.Class`.

    Raises:
        ImportError: There is no such module.
        AttributeError: The module holds no such name.
    """
    module, _, name = path.rpartition(".")
    return getattr(import_module(module), name)
