"""What is kept of a pool and its features is used to the same bytes, and only where this user made it of the same things."""

import hashlib
import hmac
import json
import os
import shutil

import numpy as np
import pytest

from hullscout.campaign import Setup, kept, sealed
from hullscout.campaign.kept import KEPT
from hullscout.representation import MbtrRepresentation


@pytest.fixture
def secret(tmp_path, monkeypatch):
    """A place for the secret of this test alone."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache" / "hullscout" / "seal"


@pytest.fixture
def finished(campaign_file, tmp_path, hullscout, secret):
    """A finished campaign that kept its pool."""
    campaign_file.write_text(f"{campaign_file.read_text()}\n[stop]\nmax_calculations = 9\n")
    assert hullscout("run", campaign_file, "--out", tmp_path / "got")[0] == 0
    assert secret.stat().st_mode & 0o777 == 0o600
    return tmp_path / "got"


def computed(monkeypatch, folder):
    """Whether the pool of a campaign is computed, and the setup."""
    calls = []
    built = Setup.build_pool_of
    monkeypatch.setattr(Setup, "build_pool_of", lambda *words: calls.append(1) or built(*words))
    setup = Setup.read(folder)
    assert len(setup.pool) == len(setup.features["k2"])
    monkeypatch.undo()
    return bool(calls), setup


def test_what_is_kept_is_what_was_computed(finished, monkeypatch, hullscout, secret):
    is_computed, setup = computed(monkeypatch, finished)
    assert not is_computed
    monkeypatch.setenv("XDG_CACHE_HOME", str(secret.parents[1]))
    said = hullscout("status", finished)
    (finished / KEPT).unlink()
    is_computed, other = computed(monkeypatch, finished)
    assert is_computed
    assert setup.pool.ids == other.pool.ids
    assert setup.pool.report == other.pool.report
    assert (setup.pool.given, setup.pool.ends) == (other.pool.given, other.pool.ends)
    np.testing.assert_array_equal(setup.pool.fractions, other.pool.fractions)
    for one, another in zip(setup.pool.candidates, other.pool.candidates, strict=True):
        assert one.has_same_atoms(another)
    for name, block in other.features.items():
        assert setup.features[name].tobytes() == block.tobytes()
    assert setup.true_ev_per_atom.tobytes() == other.true_ev_per_atom.tobytes()
    assert hullscout("status", finished) == said
    assert not (finished / KEPT).exists()


def test_what_is_kept_outlives_a_change_of_what_it_does_not_depend_on(finished, campaign_file, hullscout):
    before = (finished / KEPT).stat()
    words = ("--set", "stop.max_calculations=12", "--set", "stop.failure_probability=0.02", "--set", "select.batch=2")
    assert hullscout("run", campaign_file, "--out", finished, *words)[0] == 0
    assert Setup.read(finished).config.stop.max_calculations == 12
    after = (finished / KEPT).stat()
    assert (after.st_ino, after.st_mtime_ns) == (before.st_ino, before.st_mtime_ns)


def test_moments_and_costs_are_kept(finished):
    origin = Setup.read(finished).origin
    pool = Setup.read(finished).pool
    states = [None, np.arange(1.0, 9.0), np.arange(24.0).reshape(8, 3)]
    changed = [
        kept.Candidate(
            id=one.id,
            numbers=one.numbers,
            positions=one.positions,
            cell=one.cell,
            magmoms=None if (state := states[place % 3]) is None else state[: one.n_atoms],
        )
        for place, one in enumerate(pool.candidates)
    ]
    cost = np.arange(1.0, len(pool) + 1)
    another = kept.Pool(elements=pool.elements, candidates=tuple(changed), report=pool.report, cost=cost)
    features = {"k2": np.ones((len(pool), 2)), "of mine": np.zeros((len(pool), 1))}
    kept.write_kept(finished, origin, kept.Kept(pool=another, features=features), is_table=True)
    found = kept.read_kept(finished, origin, is_table=True)
    assert found is not None
    assert all(one.has_same_atoms(other) for one, other in zip(found.pool.candidates, changed, strict=True))
    np.testing.assert_array_equal(found.pool.cost, cost)
    assert found.pool.baseline_ev_per_atom is None
    assert {name: block.tolist() for name, block in found.features.items()} == {
        name: block.tolist() for name, block in features.items()
    }
    assert kept.read_kept(finished, origin, is_table=False) is None


def test_what_was_changed_or_made_by_another_is_computed_anew(finished, secret):
    """Also where its checksums agree: whoever knows no secret cannot make a seal."""
    path, content = finished / KEPT, (finished / KEPT).read_bytes()
    rng = np.random.default_rng(0)
    for place in (0, 20, 60, *rng.integers(0, len(content), 12).tolist()):
        flipped = bytearray(content)
        flipped[place] ^= 1 << int(rng.integers(8))
        path.write_bytes(flipped)
        origin = Setup.read(finished).origin
        assert kept.read_kept(finished, origin, is_table=True) is None
    for part in (b"", content[:10], content[:60], content[:-1], content + b"\0", b"\0" * len(content)):
        path.write_bytes(part)
        assert kept.read_kept(finished, origin, is_table=True) is None
    path.write_bytes(content)
    assert kept.read_kept(finished, origin, is_table=True) is not None
    secret.write_bytes(hashlib.sha256(b"of another").digest())
    assert kept.read_kept(finished, origin, is_table=True) is None
    secret.chmod(0o644)
    assert kept.read_kept(finished, origin, is_table=True) is None


def test_the_seal_is_made_in_parts_of_any_size(finished, monkeypatch):
    """OpenSSL takes no more than 2 GiB at a time, which the pool of a million is."""
    origin = Setup.read(finished).origin
    for n_bytes in (1000, 2**26):
        monkeypatch.setattr(sealed, "_AT_ONCE", n_bytes)
        assert kept.read_kept(finished, origin, is_table=True) is not None
    content = (finished / KEPT).read_bytes()
    start = len(sealed._MAGIC) + sealed._SEAL
    secret = sealed._secret()
    assert hmac.digest(secret, content[start:], "sha256") == content[len(sealed._MAGIC) : start]


def test_what_was_made_of_something_else_is_computed_anew(finished, monkeypatch):
    origin = Setup.read(finished).origin
    assert kept.read_kept(finished, origin, is_table=True) is not None
    config = origin.config.model_copy(update={"representation": MbtrRepresentation(pair_cutoff=9.0)})
    for change in ({"pool": origin.pool + b" "}, {"config": config}):
        other = type(origin)(**{name: getattr(origin, name) for name in origin.__slots__} | change)
        assert kept.read_kept(finished, other, is_table=True) is None
    monkeypatch.setattr(kept, "code_of", lambda _: "another")
    assert kept.read_kept(finished, origin, is_table=True) is None


def test_what_is_no_file_in_its_place_is_as_if_it_were_not_there(finished, hullscout, tmp_path):
    said = hullscout("status", finished)
    shutil.move(finished / KEPT, tmp_path / "elsewhere")
    (finished / KEPT).symlink_to(tmp_path / "elsewhere")
    origin = Setup.read(finished).origin
    assert kept.read_kept(finished, origin, is_table=True) is None
    (finished / KEPT).unlink()
    os.mkfifo(finished / KEPT)
    assert hullscout("status", finished) == said
    (finished / KEPT).unlink()
    (finished / KEPT).mkdir()
    assert hullscout("status", finished) == said


def test_nothing_is_kept_where_there_is_no_place_for_a_secret(campaign_file, tmp_path, hullscout, monkeypatch):
    (tmp_path / "a file").write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "a file"))
    words = ("run", campaign_file, "--set", "stop.max_calculations=5", "--out", tmp_path / "got")
    assert hullscout(*words)[0] == 0
    assert not (tmp_path / "got" / KEPT).exists()
    assert json.loads((tmp_path / "got" / "result.json").read_text())["n_calculations"] == 5


def test_what_a_killed_process_left_half_made_is_removed(finished, campaign_file, hullscout):
    """It would lie there forever: what is kept already is not written again."""
    left = finished / f".{KEPT}.abcdefgh.new"
    left.mkdir()
    (left / KEPT).write_bytes(b"half")
    (finished / "result.json").unlink()
    before = (finished / KEPT).stat().st_mtime_ns
    assert hullscout("run", campaign_file, "--out", finished)[0] == 0
    assert not left.exists()
    assert (finished / KEPT).stat().st_mtime_ns == before
