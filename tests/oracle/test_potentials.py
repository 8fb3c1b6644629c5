"""Energies of a pool by a potential: loaded once, kept as they come, named where there are none, refused in a sentence."""

import gzip
import importlib.util

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from ase.calculators.emt import EMT

from hullscout.errors import InvalidPoolError, OracleError, OutputError
from hullscout.oracle import (
    POTENTIALS,
    Calculated,
    CalculatorSettings,
    DaskSettings,
    InProcessSettings,
    PriorOrder,
    ProcessesSettings,
    add_column,
    open_workers,
    outcome_of,
)
from hullscout.oracle.potentials import Potential
from hullscout.pool import Candidate, read_pool

EXECUTORS = [InProcessSettings(), ProcessesSettings()]
HERE = InProcessSettings(retries=0)
B2 = Atoms("CuAu", positions=[[0, 0, 0], [1.6, 1.6, 1.6]], cell=[3.2] * 3, pbc=True)


@pytest.fixture
def pool(tmp_path):
    """Four structures of Cu-Au, one of them with columns and an energy of its own."""
    path = tmp_path / "pool.extxyz"
    path.write_text(
        "".join(
            f'{len(atoms)}\nLattice="{" ".join(map(str, np.ravel(atoms.cell[:])))}" Properties=species:S:1:pos:R:3 '
            f'id={name} {more}pbc="T T T"\n'
            + "".join(f"{s} {' '.join(map(str, p))}\n" for s, p in zip(atoms.symbols, atoms.positions, strict=True))
            for name, atoms, more in (
                ("cu", bulk("Cu"), "energy=-0.5 hours=2 "),
                ("au", bulk("Au"), ""),
                ("b2", B2, ""),
                ("b2-wide", B2.copy() * (2, 1, 1), ""),
            )
        )
    )
    return path


@pytest.fixture
def log(tmp_path):
    return tmp_path / "log.txt"


def counted(log, start):
    return sum(line.startswith(start) for line in log.read_text().splitlines()) if log.exists() else 0


def order(log, **arguments):
    return PriorOrder(calculator="counting_calculators.Counting", arguments={"log": str(log), **arguments})


def emt(atoms):
    atoms = atoms.copy()
    atoms.calc = EMT()
    return atoms.get_potential_energy()


def columns_of(path):
    return {frame.id: dict(frame.columns) for frame in read_pool(path).frames}


@pytest.mark.parametrize("executor", EXECUTORS, ids=lambda each: each.kind)
def test_a_calculator_by_dotted_path_is_made_once_and_gives_the_energies_of_one_made_anew(tmp_path, log, executor):
    settings = CalculatorSettings(calculator="counting_calculators.Counting", arguments={"log": str(log)})
    starts = [Candidate.from_ase(bulk("Cu", a=a), f"a{a}") for a in (3.5, 3.6, 3.7, 3.6)]
    with open_workers(settings, executor, folder=tmp_path) as workers:
        found = [outcome_of(workers.submit(each, attempt=1)).energy_ev for each in starts]
    assert found == [emt(each.to_ase()) for each in starts]
    assert (counted(log, "made"), counted(log, "asked")) == (1, 4)


def test_one_that_failed_or_has_other_arguments_or_runs_a_program_is_made_anew(tmp_path, log):
    cu, au = (Candidate.from_ase(bulk(symbol), symbol) for symbol in ("Cu", "Au"))

    def made(starts, name="Counting", **arguments):
        before = counted(log, "made")
        settings = CalculatorSettings(
            calculator=f"counting_calculators.{name}", arguments={"log": str(log), **arguments}
        )
        with open_workers(settings, InProcessSettings(), folder=tmp_path) as workers:
            for each in starts:
                outcome_of(workers.submit(each, attempt=1))
        return counted(log, "made") - before

    assert made([cu, cu]) == 1
    assert made([cu]) == 0, "the process has it still"
    assert made([cu], scale=2.0) == 1
    assert made([au, au, cu], fails=["Au"]) == 3
    assert made([cu, cu], name="Writing") == 3, "once to learn whether it can be made"


@pytest.mark.parametrize(
    "executor",
    [*EXECUTORS, ProcessesSettings(workers=2), DaskSettings(workers=2)],
    ids=["here", "process", "two processes", "dask"],
)
def test_a_pool_gets_a_column_and_another_that_says_of_what_and_stays_as_it_was(pool, tmp_path, log, executor):
    out, before = tmp_path / "out.extxyz.gz", pool.read_bytes()
    done = []
    found = add_column(pool, out, order(log), executor, column="emt", on_progress=lambda *said: done.append(said))
    assert (found.n_computed, found.n_kept, found.failures, done[0], done[-1]) == (4, 0, {}, (0, 4), (4, 4))
    assert pool.read_bytes() == before
    columns = columns_of(out)
    assert {each: float(columns[each]["emt"]) for each in columns} == pytest.approx(
        {"cu": emt(bulk("Cu")), "au": emt(bulk("Au")), "b2": emt(B2), "b2-wide": emt(B2.copy() * (2, 1, 1))}, abs=1e-9
    )
    assert columns["cu"]["hours"] == "2"
    assert read_pool(out).frames[0].energy_ev == -0.5
    assert {each["emt_by"] for each in columns.values()} == {
        f'counting_calculators.Counting, with {{"log": "{log}"}}, as given'
    }
    assert gzip.decompress(out.read_bytes()).count(b"emt_by") == 4
    assert counted(log, "made") <= executor.workers
    assert not list(tmp_path.glob(".*")), "nothing is left beside it"


@pytest.mark.parametrize("arguments", [{"fails": ["Au"]}, {"nan": ["Au"]}], ids=["raises", "NaN"])
def test_what_fails_is_named_and_stays_without(pool, tmp_path, log, arguments):
    said = []
    found = add_column(
        pool, tmp_path / "out.extxyz", order(log, **arguments), InProcessSettings(), column="emt", on_note=said.append
    )
    assert list(found.failures) == ["au"]
    assert [sentence.startswith("au has no emt: ") for sentence in said] == [True]
    assert "emt" not in columns_of(tmp_path / "out.extxyz")["au"]
    assert "emt_by" not in columns_of(tmp_path / "out.extxyz")["au"]


def test_nothing_is_written_where_all_fail(pool, tmp_path, log):
    failing = order(log, fails=["Cu", "Au", "AuCu", "Au2Cu2"])
    with pytest.raises(
        OracleError, match=r"no energy of 4 structures could be computed\. The first: RuntimeError: no Cu"
    ):
        add_column(pool, tmp_path / "out.extxyz", failing, InProcessSettings(), column="emt")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["log.txt", "pool.extxyz"]


def test_what_was_computed_is_kept_where_it_ends_early_and_not_computed_again(pool, tmp_path, log):
    out = tmp_path / "out.extxyz"

    run = order(log, fails=["Au"])
    with pytest.raises(KeyboardInterrupt, match="as told"):
        add_column(pool, out, run, HERE, column="emt", on_progress=_interrupt_at(3))
    part = tmp_path / ".out.extxyz.part"
    assert not out.exists()
    part.write_bytes(part.read_bytes() + b'{"id": "b2-wi')  # killed while it wrote
    found = add_column(pool, out, run, HERE, column="emt")
    assert (found.n_kept, found.n_computed, list(found.failures)) == (2, 3, ["au"])
    assert counted(log, "asked") == 4, "nothing twice"
    assert not part.exists()
    whole = tmp_path / "whole.extxyz"
    add_column(pool, whole, run, HERE, column="emt")
    assert out.read_bytes() == whole.read_bytes()


def test_what_is_kept_of_another_order_is_not_taken(pool, tmp_path, log):
    part = tmp_path / ".out.extxyz.part"
    part.write_text('0123\n{"id": "cu", "energy_ev": 77.0}\n')
    assert add_column(pool, tmp_path / "out.extxyz", order(log), InProcessSettings(), column="emt").n_kept == 0
    assert float(columns_of(tmp_path / "out.extxyz")["cu"]["emt"]) == pytest.approx(emt(bulk("Cu")))


def test_a_relaxed_energy_is_of_the_relaxed_structure_and_the_pool_keeps_its_own(pool, tmp_path):
    run = PriorOrder(calculator="ase.calculators.emt.EMT", relax="volume")
    add_column(pool, tmp_path / "out.extxyz", run, InProcessSettings(), column="emt")
    found = columns_of(tmp_path / "out.extxyz")["b2"]
    assert float(found["emt"]) < emt(B2) - 1e-3
    assert found["emt_by"].endswith("volume and atoms relaxed")
    np.testing.assert_allclose(read_pool(tmp_path / "out.extxyz").frames[2].cell, B2.cell[:])


def refused(pool, tmp_path, run=None, *, column="emt", name="out.extxyz"):
    run = PriorOrder(calculator="ase.calculators.emt.EMT") if run is None else run
    add_column(pool, tmp_path / name, run, InProcessSettings(), column=column)


def test_a_pool_or_file_that_does_not_do_is_refused_before_anything_is_computed(pool, tmp_path, log):
    with pytest.raises(InvalidPoolError, match=r"expected no column 'hours' yet, found one for 1 of 4"):
        refused(pool, tmp_path, order(log), column="hours")
    for column in ("energy", "id", "", "two words", "a=b"):
        with pytest.raises(InvalidPoolError, match="--column: expected a name of one word"):
            refused(pool, tmp_path, order(log), column=column)
    with pytest.raises(OutputError, match="is the pool that is read"):
        refused(pool, tmp_path, order(log), name="pool.extxyz")
    text = pool.read_text()
    pool.write_text(text.replace("id=au", "id=cu"))
    with pytest.raises(InvalidPoolError, match="an id of its own for each structure, found cu more than once"):
        refused(pool, tmp_path, order(log))
    pool.write_text(text.replace("Cu 0.0 0.0 0.0", "Cu 0.0 0.0 here", 1))
    with pytest.raises(InvalidPoolError, match="frame 1"):
        refused(pool, tmp_path, order(log))
    assert counted(log, "made") == 0


def test_a_damaged_file_of_what_is_kept_is_not_guessed_at(pool, tmp_path, log):
    out, run = tmp_path / "out.extxyz", order(log)
    with pytest.raises(KeyboardInterrupt, match="as told"):
        add_column(pool, out, run, InProcessSettings(), column="emt", on_note=print, on_progress=_interrupt_at(2))
    part = tmp_path / ".out.extxyz.part"
    part.write_text(part.read_text().replace("energy_ev", "energi_ev", 1))
    with pytest.raises(OutputError, match=r"\.part keeps what was computed before, and is damaged .* Remove it"):
        add_column(pool, out, run, InProcessSettings(), column="emt")


def _interrupt_at(wanted):
    def interrupt(done, _):
        if done == wanted:
            raise KeyboardInterrupt("as told")

    return interrupt


def test_calculators_that_do_not_do_are_refused_in_the_words_of_who_asked():
    with pytest.raises(
        OracleError, match=r"--calculator: expected one of diep, chgnet, sevenn, .* Did you mean 'diep'\?"
    ):
        PriorOrder(calculator="diepp", setting="--calculator")
    with pytest.raises(OracleError, match=r"prior\.calculator: expected one of diep, .* found 'emt'"):
        PriorOrder(calculator="emt")


def test_a_missing_package_names_the_extra(monkeypatch):
    missing = Potential(path="no_such_package.make", install="'hullscout[nsp]'", level="none")
    monkeypatch.setattr("hullscout.oracle.potentials.POTENTIALS", {"nsp": missing})
    with pytest.raises(OracleError, match=r"'nsp' needs its package, .* pip install 'hullscout\[nsp\]'"):
        PriorOrder(calculator="nsp")


@pytest.mark.parametrize("executor", EXECUTORS, ids=lambda each: each.kind)
@pytest.mark.parametrize(
    ("calculator", "arguments", "message"),
    [
        ("no_such_module.Make", {}, r"--calculator: expected a name that ASE knows .* No module named"),
        ("math.pi", {}, r"--arguments: 'math\.pi' cannot be made with {}: TypeError"),
        ("counting_calculators.Counting", {"weights": "x"}, r"--arguments: .* unexpected keyword argument 'weights'"),
        ("builtins.open", {"file": "weights.pt"}, r"--arguments: .*FileNotFoundError.* No such file"),
        ("builtins.dict", {}, r"--calculator: expected an ASE calculator, found that 'builtins\.dict' makes"),
    ],
)
def test_what_cannot_be_made_is_told_by_the_option_that_names_it(
    pool, tmp_path, executor, calculator, arguments, message
):
    run = PriorOrder(calculator=calculator, arguments=arguments, setting="--calculator")
    with pytest.raises(OracleError, match=message):
        add_column(pool, tmp_path / "out.extxyz", run, executor, column="emt")


def test_a_potential_whose_weights_cannot_be_loaded_is_told_by_its_name(monkeypatch, pool, tmp_path):
    broken = Potential(path="counting_calculators.Broken", install="'hullscout[b]'", level="none")
    monkeypatch.setattr("hullscout.oracle.potentials.POTENTIALS", {"b": broken})
    with pytest.raises(
        OracleError, match=r"prior\.calculator: 'b' cannot be loaded, .* checkpoint .* --force-reinstall 'hull"
    ):
        add_column(pool, tmp_path / "out.extxyz", PriorOrder(calculator="b"), EXECUTORS[0], column="b")


def test_an_element_that_the_potential_does_not_know_is_told_before_it_is_loaded(monkeypatch, pool, tmp_path):
    monkeypatch.setattr("hullscout.oracle.potentials.find_spec", lambda _: True)
    monkeypatch.setattr("hullscout.oracle.potentials.version", lambda _: "2.0.0")
    run = PriorOrder(calculator="diep")
    assert run.source == "diep 2.0.0, MatPES r2SCAN, as given"
    assert run.settings.arguments == {"stress": False}
    assert PriorOrder(calculator="diep", relax="cell").settings.arguments == {}
    run.refuse_unknown_elements(["Ag", "Pu"])
    for symbol in ("Po", "Am"):
        with pytest.raises(OracleError, match=f"'diep' does not know {symbol}: it was fitted to none"):
            run.refuse_unknown_elements(["Ag", symbol])
    pool.write_text(pool.read_text().replace("Au ", "Po "))
    with pytest.raises(OracleError, match="'diep' does not know Po"):
        refused(pool, tmp_path, run)


@pytest.mark.potential
@pytest.mark.parametrize("name", POTENTIALS)
def test_a_universal_potential_gives_energies_of_its_level(tmp_path, name):
    """The real one, where its package is installed; it orders Cu-Au as the experiment does."""
    if importlib.util.find_spec(POTENTIALS[name].package) is None:
        pytest.skip(
            f"{name} is not installed: pip install {POTENTIALS[name].install} (see contributing.md, real potentials)"
        )
    l10 = Atoms(
        "CuAu", positions=[[0, 0, 0], [1.98, 0, 1.84]], cell=[[1.98, 1.98, 0], [1.98, -1.98, 0], [0, 0, 3.68]], pbc=True
    )
    starts = [Candidate.from_ase(each, str(place)) for place, each in enumerate((bulk("Cu"), bulk("Au", a=4.1), l10))]
    found = dict(PriorOrder(calculator=name, relax="volume").energies(starts, ProcessesSettings(), folder=tmp_path))
    assert all(isinstance(each, Calculated) for each in found.values()), found
    cu, au, both = (found[str(place)].energy_ev for place in range(3))
    assert -0.15 < (both - cu - au) / 2 < 0.0
    if name == "diep":
        with pytest.raises(OracleError, match=r"prior\.arguments: .* is not an exported DIEP model directory"):
            list(
                PriorOrder(calculator=name, arguments={"path": str(tmp_path)}).energies(
                    starts, ProcessesSettings(), folder=tmp_path
                )
            )
