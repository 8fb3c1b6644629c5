"""Ways to raise and to answer what is no energy of the structure."""

import asyncio
import decimal
import fractions
import warnings

import numpy as np
from misbehaving import CHANGED, ENERGY, NO_NUMBER, RAISED, way


def raises(name, make):
    def calculate(*_):
        raise make()

    calculate.__name__ = name
    way(RAISED)(calculate)


def gives(name, energy, expected=NO_NUMBER):
    def calculate(calculator, _):
        calculator.results["energy"] = energy(calculator.results["energy"])

    calculate.__name__ = name
    way(expected)(calculate)


class StrRaisesError(Exception):
    def __str__(self):
        raise ValueError("no text")


class StrExitsError(Exception):
    def __str__(self):
        raise SystemExit


class StrIsBytesError(Exception):
    def __str__(self):
        return b"caf\xe9"  # noqa: PLE0307


class StrIsNoneError(Exception):
    def __str__(self):
        return None  # noqa: PLE0307


class OwnBaseError(BaseException):
    pass


class NamelessKind(type):
    @property
    def __name__(cls):
        raise RuntimeError("no name")

    @property
    def __mro__(cls):
        raise RuntimeError("no bases")


class NumberedKind(type):
    @property
    def __name__(cls):
        return 5


class NamelessError(Exception, metaclass=NamelessKind):
    pass


class NumberedError(Exception, metaclass=NumberedKind):
    pass


class TextByNamelessError(Exception):
    def __str__(self):
        raise NamelessError("text")


class NamelessNumber(metaclass=NamelessKind):
    pass


class CauseRaisesError(Exception):
    @property
    def __cause__(self):
        raise RuntimeError("no cause")


class ContextIsTextError(Exception):
    @property
    def __context__(self):
        return "text"


class CausesWithoutEndError(Exception):
    @property
    def __cause__(self):
        return CausesWithoutEndError()


class MembersRaiseError(ExceptionGroup):
    @property
    def exceptions(self):
        raise RuntimeError("no members")


class MembersAreNoneError(ExceptionGroup):
    @property
    def exceptions(self):
        return (1, "x", None)


class NumberRaisesError(OSError):
    @property
    def errno(self):
        raise RuntimeError("no number")


def error_of_many_causes():
    error = ValueError(0)
    for number in range(20_000):
        error, cause = ValueError(number), error
        error.__cause__ = cause
    return error


class Untold:
    def __repr__(self):
        raise RuntimeError("not told")


LATIN = b"caf\xe9.dat".decode(errors="surrogateescape")
raises("error", lambda: RuntimeError("no licence"))
raises("surrogate_text", lambda: RuntimeError(LATIN))
raises("bytes_text", lambda: RuntimeError(b"caf\xe9"))
raises("file_name_in_latin", lambda: FileNotFoundError(2, "No such file", LATIN))
raises("text_raises", StrRaisesError)
raises("text_exits", StrExitsError)
raises("text_is_bytes", StrIsBytesError)
raises("text_is_none", StrIsNoneError)
raises("text_of_megabytes", lambda: RuntimeError("x" * 10_000_000))
raises("text_with_nul_and_lines", lambda: RuntimeError("a\0b\nc\rd\x1b[2J"))
raises("text_of_blanks", lambda: RuntimeError(f"a{' ' * 400_000}b"))
raises("text_of_no_room", lambda: RuntimeError("no pseudopotential: No space left on device is not among them"))
raises("class_without_a_name", NamelessError)
raises("class_named_by_a_number", NumberedError)
raises("text_by_a_class_without_a_name", TextByNamelessError)
raises("cause_raises", CauseRaisesError)
raises("context_is_text", ContextIsTextError)
raises("causes_without_end", CausesWithoutEndError)
raises("many_causes", error_of_many_causes)
raises("members_raise", lambda: MembersRaiseError("g", [ValueError(1)]))
raises("members_are_none", lambda: MembersAreNoneError("g", [ValueError(1)]))
raises("number_raises", NumberRaisesError)
raises("no_text", RuntimeError)
raises("system_exit", SystemExit)
raises("system_exit_with_code", lambda: SystemExit(3))
raises("system_exit_with_text", lambda: SystemExit(LATIN))
raises("base_exception", lambda: OwnBaseError("mine"))
raises("keyboard_interrupt", KeyboardInterrupt)
raises("generator_exit", GeneratorExit)
raises("cancelled", asyncio.CancelledError)
raises("stop_iteration", StopIteration)
raises("group", lambda: BaseExceptionGroup("two", [KeyboardInterrupt(), ValueError("x")]))
raises("memory_error", MemoryError)
raises("broken_pipe", BrokenPipeError)

gives("true", lambda _: True)
gives("numpy_true", lambda _: np.True_)
gives("text", str)
gives("bytes_number", lambda _: b"1.0")
gives("complex_number", lambda energy: complex(energy, 0.0))
gives("numpy_complex", np.complex128)
gives("none", lambda _: None)
gives("nan", lambda _: float("nan"))
gives("infinite", lambda _: -np.inf)
gives("beyond_all_bounds", lambda _: 1e300)
gives("integer_without_end", lambda _: 10**400)
gives("two_numbers", lambda energy: np.array([energy, energy]))
gives("empty_array", lambda _: np.array([]))
gives("array_of_bool", lambda _: np.array(True))  # noqa: FBT003
gives("array_of_objects", lambda energy: np.array(energy, dtype=object))
gives("list_of_one", lambda energy: [energy])
gives("masked", lambda _: np.ma.masked)
gives("masked_array", lambda energy: np.ma.array([energy], mask=[True]))
gives("decimal_number", decimal.Decimal)
gives("table", lambda energy: {"energy": energy})
gives("untold", lambda _: Untold())
gives("of_a_class_without_a_name", lambda _: NamelessNumber())
gives("time", lambda _: np.datetime64("2020-01-01"))
gives("array_of_one", lambda energy: np.array([energy]), ENERGY)
gives("array_without_axis", np.array, ENERGY)
gives("fraction", fractions.Fraction, ENERGY)
gives("long_double", np.longdouble, ENERGY)


@way(RAISED)
def recursion(*_):
    def deeper():
        return deeper() + 1

    deeper()


@way(RAISED)
def out_of_memory(*_):
    np.ones(1 << 56)


@way(RAISED)
def warnings_as_errors(*_):
    warnings.simplefilter("error")
    warnings.warn("old", DeprecationWarning, stacklevel=1)


@way(CHANGED)
def moves_an_atom(_, atoms):
    atoms.positions[-1] += 0.3


@way(CHANGED)
def changes_the_cell(_, atoms):
    atoms.set_cell(atoms.cell.array * 1.1, scale_atoms=True)


@way(CHANGED)
def another_kind(_, atoms):
    atoms.numbers[0] = 79


@way(CHANGED)
def one_atom_more(_, atoms):
    atoms.append("Cu")


@way(CHANGED)
def one_atom_less(_, atoms):
    del atoms[0]


@way(RAISED, relax="positions")
def forces_not_finite(calculator, _):
    calculator.results["forces"] = np.full_like(calculator.results["forces"], np.nan)


@way(NO_NUMBER, relax="positions")
def forces_complex(calculator, _):
    calculator.results["forces"] = np.zeros((2, 3), dtype=complex)


@way(RAISED, relax="positions")
def forces_of_other_atoms(calculator, _):
    calculator.results["forces"] = np.zeros((7, 3)) + 1.0
