"""What a representation is: settings, blocks of features, and what a figure of one structure shows."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, Protocol, Self

import numpy as np
from pydantic import Field, field_validator

from hullscout.citations import Citation
from hullscout.errors import InvalidSettingError
from hullscout.representation.moments import BLOCK, moment_features
from hullscout.settings import Kinds, Settings, dotted_path

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    Floats = NDArray[np.float64]


SINGLE_ABOVE = 200_000
"""Features of more candidates are held in single precision."""
_AT_ONCE = 4096


class Structure(Protocol):
    """A crystal as ASE and Hullscout's candidates hold one: atomic numbers (n,), positions (n, 3) and cell (3, 3) in A."""

    @property
    def numbers(self) -> NDArray[np.int64]:
        """(n,) atomic numbers."""

    @property
    def positions(self) -> Floats:
        """(n, 3) Cartesian positions in A."""

    @property
    def cell(self) -> Floats:
        """(3, 3) row vectors in A."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Panel:
    """Curves that show one structure in a representation.

    Attributes:
        x: (p,) what the features lie over.
        curves: (p,) features by label.
    """

    x: Floats
    curves: Mapping[str, Floats] = field(repr=False)
    x_label: str
    y_label: str


class Representation(Settings, ABC):
    """Features of structures; its settings are its fields.

    A field `elements` is filled with the elements of the campaign.
    """

    kind: str = Field(default="", validate_default=True)
    """Name of the representation, or the dotted path of its class."""
    citations: ClassVar[tuple[Citation, ...]] = ()
    """Papers that it owes something to."""

    @abstractmethod
    def blocks(self, candidates: Sequence[Structure]) -> Mapping[str, Floats]:
        """Features (n, d) of n structures by the name of the block; each block has a length scale of its own."""

    @property
    def part_size(self) -> int | None:
        """How many candidates of a large pool are represented at a time, here or by workers; None where all are at once."""
        return None

    def own_blocks(self, candidates: Sequence[Structure]) -> Mapping[str, Floats]:  # noqa: ARG002  for others to fill
        """Of a representation with a `part_size`, the blocks whose rows depend each on its own structure alone."""
        return {}

    def joint_blocks(self, candidates: Sequence[Structure]) -> Mapping[str, Floats]:
        """The other blocks."""
        return self.blocks(candidates)

    def panels(self, candidate: Structure) -> tuple[Panel, ...]:
        """What a figure shows of one structure: by default a panel for each block, its features by number."""
        return tuple(
            Panel(
                x=np.arange(block.shape[1], dtype=np.float64),
                curves={name: np.asarray(block[0], dtype=np.float64)},
                x_label="feature",
                y_label=name,
            )
            for name, block in self.blocks([candidate]).items()
        )

    def for_elements(self, elements: tuple[str, ...]) -> Self:
        """The same representation for an alloy of these elements, where it has a field for them."""
        return self.model_copy(update={"elements": elements}) if "elements" in type(self).model_fields else self

    @field_validator("kind")
    @classmethod
    def _is_named(cls, name: str) -> str:
        return name or dotted_path(cls)


REPRESENTATIONS = Kinds(
    section="representation",
    key="kind",
    base=Representation,  # type: ignore[type-abstract]  # what all are
    ours={"mbtr": "hullscout.representation.many_body.MbtrRepresentation"},
    default="mbtr",
    is_open=True,
)
"""The representations by name."""


def checked_blocks(
    representation: Representation, candidates: Sequence[Structure], given: Any | None = None
) -> dict[str, Floats]:
    """The blocks of a representation, or those `given`, which must be finite numbers with a row for each candidate, as arrays.

    Of more than SINGLE_ABOVE candidates they are in single precision; see `in_parts`.

    Where candidates differ in nothing but their magnetic moments, a block of these is added: see `moment_features`.
    """
    kind = representation.kind
    given = representation.blocks(candidates) if given is None else given
    dtype: Any = np.float32 if len(candidates) > SINGLE_ABOVE else np.float64
    try:
        arrays = {name: np.asarray(block) for name, block in given.items()}
        if not all(isinstance(name, str) and name.isprintable() and name.strip() for name in arrays):
            raise TypeError("a block has no printable name")  # noqa: TRY301  said in the sentence below
        blocks = {
            name: block.astype(dtype, casting="same_kind", copy=dtype is np.float64) for name, block in arrays.items()
        }
    except (AttributeError, TypeError, ValueError) as error:
        raise InvalidSettingError(
            f"representation.kind: expected arrays of real features by printable names from blocks of {representation.kind!r}, "
            f"found {given!r:.80}."
        ) from error
    for name, block in blocks.items():
        is_finite = all(np.isfinite(block[start : start + _AT_ONCE]).all() for start in range(0, len(block), _AT_ONCE))
        if block.ndim != 2 or block.shape[0] != len(candidates) or block.shape[1] == 0 or not is_finite:
            found = f"shape {block.shape}" if block.ndim != 2 or is_finite else "numbers that are not"
            raise InvalidSettingError(
                f"representation.kind: expected finite features ({len(candidates)}, d) in block {name!r} of "
                f"{kind!r}, found {found}."
            )
    if not blocks:
        raise InvalidSettingError(f"representation.kind: expected a block of features, {kind!r} gave none.")
    if BLOCK not in blocks and (moments := moment_features(candidates, blocks)) is not None:
        blocks[BLOCK] = moments
    return blocks
