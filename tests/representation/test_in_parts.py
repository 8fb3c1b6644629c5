"""Features of a large pool, made in parts: the same bytes whoever makes them, also where workers die."""

from __future__ import annotations

import os
import signal
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, nullcontext
from pathlib import Path

import numpy as np
import pytest

from hullscout.errors import OracleError
from hullscout.oracle import DaskSettings, InProcessSettings, ProcessesSettings, open_for_features
from hullscout.pool import Pool
from hullscout.representation import MbtrRepresentation, Representation, checked_blocks, features_of, in_parts

HERE = nullcontext((None, 1))


class Mortal(MbtrRepresentation):
    """The worker that first represents a part while `grave` is missing makes it and is killed."""

    kind: str = "test_in_parts.Mortal"
    grave: str = ""

    @property
    def part_size(self) -> int:
        return 10

    def own_blocks(self, candidates):
        try:
            os.close(os.open(self.grave, os.O_CREAT | os.O_EXCL))
        except FileExistsError:
            return super().own_blocks(candidates)
        os.kill(os.getpid(), signal.SIGKILL)
        raise AssertionError


@pytest.fixture(scope="module")
def candidates():
    return Pool.read("campaigns/cuau-emt/cuau-cells.extxyz.gz", ("Cu", "Au")).candidates


@pytest.fixture
def large(monkeypatch):
    """Pools of more than thirty candidates are made in parts."""
    monkeypatch.setattr(in_parts, "SINGLE_ABOVE", 30)
    monkeypatch.setattr("hullscout.representation.interface.SINGLE_ABOVE", 30)


def mortal(tmp_path, *, is_dead: bool) -> Mortal:
    grave = tmp_path / "grave"
    if is_dead:
        grave.touch()
    return Mortal(elements=("Cu", "Au"), grave=str(grave))


def assert_same(blocks, others):
    assert blocks.keys() == others.keys()
    for name, block in blocks.items():
        assert block.dtype == others[name].dtype == np.float32
        np.testing.assert_array_equal(block, others[name])


@pytest.mark.usefixtures("large")
def test_features_in_parts_are_those_of_the_whole_in_single_precision(candidates, tmp_path):
    made = features_of(mortal(tmp_path, is_dead=True), candidates, lambda: HERE)
    whole = MbtrRepresentation(elements=("Cu", "Au")).blocks(candidates)
    assert made.keys() == whole.keys()
    for name, block in made.items():
        assert block.dtype == np.float32
        np.testing.assert_allclose(block, whole[name], rtol=1e-6, atol=1e-6)


@pytest.mark.usefixtures("large")
@pytest.mark.parametrize("settings", [ProcessesSettings(workers=2), DaskSettings(workers=2)], ids=["processes", "dask"])
@pytest.mark.parametrize("is_dead", [True, False], ids=["all live", "one is killed"])
def test_workers_make_the_same_bytes_also_where_one_is_killed(candidates, tmp_path, settings, is_dead, monkeypatch):
    if settings.kind == "dask":
        pytest.importorskip("distributed")
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(Path(__file__).parent), os.environ.get("PYTHONPATH", "")]))
    here = features_of(mortal(tmp_path, is_dead=True), candidates, lambda: open_for_features(InProcessSettings()))
    (tmp_path / "grave").unlink()
    made = features_of(mortal(tmp_path, is_dead=is_dead), candidates, lambda: open_for_features(settings))
    assert (tmp_path / "grave").exists()
    assert_same(made, here)


@pytest.mark.usefixtures("large")
def test_workers_that_fail_again_and_again_are_told_with_their_error(candidates, tmp_path):
    class Failing(Mortal):
        def own_blocks(self, candidates):  # noqa: ARG002
            raise RuntimeError("no room on this node")

    @contextmanager
    def threads():
        with ThreadPoolExecutor(2) as pool:
            yield pool, 2

    failing = Failing(elements=("Cu", "Au"), grave=str(tmp_path / "grave"))
    with pytest.raises(OracleError, match=r"Features of 6 parts .* 3 times: .*no room on this node"):
        features_of(failing, candidates, threads)


@pytest.mark.usefixtures("large")
def test_a_representation_of_one_piece_is_made_at_once(candidates):
    class Own(Representation):
        kind: str = "own"

        def blocks(self, candidates):
            return {"size": np.array([[len(one.numbers)] for one in candidates], np.float64)}

    made = features_of(Own(), candidates, lambda: HERE)
    assert made["size"].dtype == np.float32
    np.testing.assert_array_equal(made["size"], checked_blocks(Own(), candidates)["size"])
