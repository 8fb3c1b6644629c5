"""What structures on the hull are called is kept with a finished campaign, and used where the same code found it."""

import pytest

from hullscout.figures import save_campaign_figure, structure_names
from hullscout.figures.structure_names import KEPT_NAMES


@pytest.fixture
def ended(campaign_file, tmp_path, hullscout, monkeypatch):
    """A finished campaign that kept names, in a process that knows none."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    assert hullscout("run", campaign_file, "--set", "stop.max_calculations=14", "--out", tmp_path / "got")[0] == 0
    monkeypatch.setattr(structure_names, "_FOUND", {})
    return tmp_path / "got"


@pytest.fixture
def found(monkeypatch):
    """The structures whose names were found anew."""
    calls, find = [], structure_names.mathtext_structure
    monkeypatch.setattr(structure_names, "mathtext_structure", lambda one: calls.append(one.id) or find(one))
    return calls


def test_a_figure_finds_no_name_anew_and_is_the_same(ended, found, tmp_path, monkeypatch):
    save_campaign_figure(ended, tmp_path / "kept.png")
    assert not found
    monkeypatch.setattr(structure_names, "_FOUND", {})
    (ended / KEPT_NAMES).unlink()
    save_campaign_figure(ended, tmp_path / "anew.png")
    assert len(found) == len(set(found)) > 2
    assert (tmp_path / "kept.png").read_bytes() == (tmp_path / "anew.png").read_bytes()


def test_names_of_other_code_or_by_another_are_found_anew(ended, found, tmp_path, monkeypatch):
    content = bytearray((ended / KEPT_NAMES).read_bytes())
    content[-70] ^= 1
    (ended / KEPT_NAMES).write_bytes(content)
    save_campaign_figure(ended, tmp_path / "changed.png")
    assert found
    content[-70] ^= 1
    (ended / KEPT_NAMES).write_bytes(content)
    monkeypatch.setattr(structure_names, "_FOUND", {})
    monkeypatch.setattr(structure_names, "code_of", lambda _: "another")
    del found[:]
    save_campaign_figure(ended, tmp_path / "other.png")
    assert found
