"""The representation as one object: structures in, feature matrix out, under scikit-learn's transformer protocol."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from numbers import Integral
from typing import TYPE_CHECKING, Any, Final, Literal, get_args

import numpy as np
import scipy

from hullscout.errors import InvalidSettingError, InvalidStructureError
from hullscout.mbtr.axis import N_MOMENTS, bin_centers, panels_of
from hullscout.mbtr.channels import atomic_numbers, channel_labels
from hullscout.mbtr.counting import Gradient, count_batch, gradient_of
from hullscout.mbtr.counts import Counts, MBTRDefinition, Normalization
from hullscout.mbtr.structures import read_structures
from hullscout.mbtr.term import Term

if TYPE_CHECKING:
    from numpy.typing import NDArray

Output = Literal["dense", "sparse"]

_CHUNK_BYTES: Final = 64 * 2**20
_NEGLIGIBLE: Final = 1e-14  # of the largest value in a row; smaller ones are left out of sparse output


class MBTR:
    """Many-body tensor representation of molecules and crystals.

    Terms are laid side by side; the element set is fixed, so the length of a feature vector depends on settings alone.
    Follows scikit-learn's transformer protocol (without importing it); settings of single terms are reached as
    `k2__sigma` and so on.

    Args:
        elements: Symbols of every element that may occur, in feature order.
        terms: The k-body terms, in feature order, with different labels.
        normalization: `none`; `per_atom`: divided by the number of atoms, so that supercells agree; `l2`: each term's
            slice has unit length; `valle_oganov` (k = 2, 3): see Counts.channel_factors.
        correlation: Element correlation matrix C, symmetric and positive semidefinite, shape (n_elements, n_elements);
            None: identity.
        max_outside: Largest fraction of a term's weight that may lie outside its grid, per structure; more is an error.
        output: `dense` array or `sparse` (scipy CSR array).
        n_threads: Threads over structures; None: as many as the process may use. Results do not depend on it.

    Source: Huo & Rupp, Mach. Learn.: Sci. Technol. 3, 045017 (2022), equations 3 to 6.

    >>> from ase.build import bulk
    >>> mbtr = MBTR.for_alloys(("Ag", "Pd"))
    >>> X = mbtr.transform([bulk("Ag"), bulk("Ag", cubic=True)])
    >>> X.shape, bool(np.allclose(X[0], X[1], rtol=1e-12))
    ((2, 516), True)
    """

    def __init__(
        self,
        elements: tuple[str, ...],
        terms: tuple[Term, ...],
        *,
        normalization: Normalization = "per_atom",
        correlation: NDArray[np.float64] | None = None,
        max_outside: float = 0.8,
        output: Output = "dense",
        n_threads: int | None = None,
    ) -> None:
        self.elements = elements
        self.terms = terms
        self.normalization: Normalization = normalization
        self.correlation = correlation
        self.max_outside = max_outside
        self.output: Output = output
        self.n_threads = n_threads
        self._definition = self._checked_definition()

    @classmethod
    def for_alloys(
        cls,
        elements: tuple[str, ...],
        *,
        pair_cutoff: float = 10.0,
        triple_cutoff: float = 8.0,
        n_threads: int | None = None,
    ) -> MBTR:
        """Return pairs and angles, per atom: a start for Gaussian-kernel models of metallic alloys.

        Weights and widths were chosen by held-out errors on the Ag-Pd, Ag-Pt, Mo-Pt and Nb-Mo pools; the factor of the
        pairs makes both terms spread by about the same. The cutoffs of the pairs and of the sides of the angles are in A.
        """
        pairs = Term(
            k=2,
            geometry="inverse_distance",
            weighting="inverse_square",
            cutoff=pair_cutoff,
            grid=(0.08, 0.6, 52),
            sigma=0.02,
            factor=27.0,
        )
        angles = Term(k=3, geometry="cosine", cutoff=triple_cutoff, grid=(-1.0, 1.0, 60), sigma=0.06)
        return cls(elements, (pairs, angles), normalization="per_atom", n_threads=n_threads)

    @property
    def slices(self) -> dict[str, slice]:
        """Where each term's features lie, by label."""
        return self._definition.slices

    @property
    def n_features(self) -> int:
        """Length of a feature vector."""
        return self._definition.n_features

    def count(self, structures: Iterable[Any]) -> Counts:
        """Count the geometry of structures, once; any width that the terms plan for then costs no geometry.

        Structures are pymatgen's `Structure` or `Molecule`, ASE's `Atoms`, or have `numbers`, `positions`, `cell` and `pbc`.
        All are held in memory as counts: use stream for very many.
        """
        return self._count(list(_iterator(structures)), 0)

    def stream(self, structures: Iterable[Any], *, chunk_size: int | None = None) -> Iterator[Any]:
        """Yield feature matrices of consecutive chunks of structures, with bounded memory; any iterable is read as it goes.

        Without a size the counts of a chunk take about 64 MB. Rows do not depend on the chunk size beyond rounding.
        """
        size = self.chunk_size if chunk_size is None else chunk_size
        _check_whole("chunk_size", size)
        source, first = _iterator(structures), 0
        while chunk := list(itertools.islice(source, size)):
            yield self._present(self._count(chunk, first).features())
            first += len(chunk)

    def fit(self, X: Iterable[Any], y: object = None) -> MBTR:  # noqa: ARG002 - scikit-learn's protocol; nothing is learned
        """Return self: a representation learns nothing from structures."""
        return self

    def transform(self, X: Iterable[Any]) -> Any:
        """Return the features of structures at the terms' own widths, shape (n_structures, n_features), dense or CSR."""
        blocks = list(self.stream(X)) or [self._present(np.empty((0, self.n_features)))]
        if len(blocks) == 1:
            return blocks[0]
        return np.concatenate(blocks) if self.output == "dense" else scipy.sparse.vstack(blocks, format="csr")

    def fit_transform(self, X: Iterable[Any], y: object = None) -> Any:
        """Return transform(X)."""
        return self.fit(X, y).transform(X)

    def gradient(self, structure: Any, sigma: Mapping[str, float] | None = None) -> Gradient:
        """Return the features of one structure and their derivatives by positions and strain, for terms of k = 1, 2, 3.

        The structure is as for count; sigma holds other widths by term label. Where a sharp cutoff or a
        straight angle makes a feature jump or kink, the derivative is the slope beside it.
        """
        return gradient_of(read_structures([structure], self._definition.numbers), self._definition, sigma)

    def get_feature_names_out(self, input_features: object = None) -> NDArray[np.object_]:  # noqa: ARG002 - scikit-learn's protocol
        """Return a name such as `k2:Ag-Pd:0.345` per feature: label, elements, middle of the bin on the axis."""
        names = []
        for term in self.terms:
            places = [""] if term.grid is None else [f":{x:.6g}" for x in bin_centers(term)]
            names += [f"{term.label}:{c}{x}" for c in channel_labels(self.elements, term.k) for x in places]
        return np.array(names, dtype=object)

    def get_params(self, deep: bool = True) -> dict[str, Any]:  # noqa: FBT001, FBT002 - scikit-learn's protocol
        """Return the settings, with those of every term as `label__setting` if deep."""
        names = ("elements", "terms", "normalization", "correlation", "max_outside", "output", "n_threads")
        params = {name: getattr(self, name) for name in names}
        if deep:
            for term in self.terms:
                params |= {f"{term.label}__{f.name}": getattr(term, f.name) for f in dataclasses.fields(term)}
        return params

    def set_params(self, **params: Any) -> MBTR:
        """Change settings, `label__setting` for those of a term; nothing changes if any of them is impossible."""
        settings = self.get_params(deep=False)
        own = {name: value for name, value in params.items() if "__" not in name}
        unknown = set(own) - set(settings)
        settings |= own
        terms = {term.label: term for term in settings["terms"]}
        fields = {f.name for f in dataclasses.fields(Term)}
        for name in sorted(set(params) - set(own)):
            label, _, field = name.partition("__")
            if label not in terms or field not in fields:
                unknown.add(name)
            else:
                terms[label] = dataclasses.replace(terms[label], **{field: params[name]})
        if unknown:
            raise InvalidSettingError(
                f"unknown settings {sorted(unknown)}: expected some of {sorted(self.get_params())}"
            )
        settings["terms"] = tuple(terms.values())
        self.__dict__.update(MBTR(**settings).__dict__)  # checked before anything changes
        return self

    def __repr__(self) -> str:
        labels = ", ".join(f"{term.label}: {term.geometry}" for term in self.terms)
        return f"MBTR({'-'.join(self.elements)}; {labels}; {self.normalization}; {self.n_features} features)"

    def __sklearn_is_fitted__(self) -> bool:
        return True

    def __sklearn_tags__(self) -> Any:
        from sklearn.utils import Tags, TargetTags, TransformerTags  # noqa: PLC0415 - only scikit-learn itself calls this

        return Tags(
            estimator_type="transformer",
            target_tags=TargetTags(required=False),
            transformer_tags=TransformerTags(),
            requires_fit=False,
            no_validation=True,
        )

    def _checked_definition(self) -> MBTRDefinition:
        if self.output not in get_args(Output):
            raise InvalidSettingError(f"output must be one of {', '.join(get_args(Output))}, found {self.output!r}")
        if not isinstance(self.terms, Sequence):
            found = "a single one: write (term,)" if isinstance(self.terms, Term) else repr(self.terms)
            raise InvalidSettingError(f"terms must be a sequence of Term, found {found}")
        if self.n_threads is not None:
            _check_whole("n_threads", self.n_threads)
        atomic_numbers(self.elements)
        return MBTRDefinition(
            elements=tuple(self.elements),
            terms=tuple(self.terms),
            normalization=self.normalization,
            correlation=None if self.correlation is None else _matrix(self.correlation),
            max_outside=self.max_outside,
        )

    def _count(self, structures: Sequence[Any], first: int) -> Counts:
        batch = read_structures(structures, self._definition.numbers, first=first)
        return count_batch(batch, self._definition, first=first, n_threads=self.n_threads)

    @property
    def chunk_size(self) -> int:
        """Structures at a time whose counts take about 64 MB."""
        per_structure = sum(
            self._definition.n_channels(term) * (len(panels_of(term).middle) * N_MOMENTS + term.n_x) * 8
            for term in self.terms
            if term.grid is not None
        )
        return max(1, _CHUNK_BYTES // max(per_structure, 64 * 1024))

    def _present(self, X: NDArray[np.float64]) -> Any:
        if self.output == "dense":
            return X
        largest = np.max(np.abs(X), axis=1, keepdims=True, initial=0.0)
        return scipy.sparse.csr_array(np.where(np.abs(X) > _NEGLIGIBLE * largest, X, 0.0))


def _iterator(structures: Iterable[Any]) -> Iterator[Any]:
    if not isinstance(structures, Iterable):
        raise InvalidStructureError(
            f"structures must be a list or another iterable, even if it is only one, found {type(structures).__name__}"
        )
    return iter(structures)


def _check_whole(name: str, found: object) -> None:
    if isinstance(found, bool) or not isinstance(found, Integral) or found < 1:
        raise InvalidSettingError(f"{name} must be a whole number of at least 1, found {found!r}")


def _matrix(found: object) -> NDArray[np.float64]:
    """Return an element correlation matrix as an array of floats."""
    try:
        return np.asarray(found).astype(np.float64, casting="safe")
    except (TypeError, ValueError) as error:
        raise InvalidSettingError(
            f"correlation must be a square matrix of numbers (periodic_table_correlation and pettifor_correlation "
            f"make some), found {found!r}"
        ) from error
