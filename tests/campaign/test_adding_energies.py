"""Structures that are added state their energies under names and in units of their own, as pools do."""

from __future__ import annotations

import re

import pytest
from ase.build import bulk
from ase.io import write
from frames import frames_of

from hullscout.campaign import Setup, create, growth, read_origin
from hullscout.errors import InvalidPoolError

N = 3


@pytest.fixture
def parts(campaign_file, small_pool):
    """The campaign file without three of its compounds, these with their energies, and what they state in eV per cell."""
    frames = frames_of(small_pool)
    compounds = [frame for frame in frames if "\nAg " in frame and "\nPd " in frame][:N]
    path = campaign_file.with_name("pool.extxyz")
    path.write_text("".join(frame for frame in frames if frame not in compounds))
    stated = [
        (re.search(r"id=(\S+)", f)[1], float(re.search(r"energy=(\S+)", f)[1]), int(f.split()[0])) for f in compounds
    ]
    return campaign_file, compounds, stated


def written(path, compounds, key, factor=1.0, *, per_atom=False):
    def as_stated(match, n):
        return f"{key}={float(match[1]) * factor / (n if per_atom else 1)!r}"

    path.write_text(
        "".join(re.sub(r"energy=(\S+)", lambda m, f=f: as_stated(m, int(f.split()[0])), f) for f in compounds)
    )
    return path


def made(campaign_file, out, *settings):
    create(Setup(read_origin(campaign_file, settings)), out)
    return out


def energies(out):
    setup = Setup.read(out)
    return dict(zip(setup.table.ids, setup.table.energies_ev, strict=True))


def test_what_may_be_the_energies_is_offered_by_name(parts, hullscout, tmp_path):
    campaign_file, compounds, _ = parts
    out = made(campaign_file, tmp_path / "out")
    code, text = hullscout("add", out, written(tmp_path / "more.extxyz", compounds, "dft_energy"))
    said = " ".join(text.split())
    assert code == 0
    assert "Nothing was added." in said
    assert "Left out, since they have no energy" in said
    assert (
        "Columns that look like energies: dft_energy. Name one by pool.energy = 'dft_energy'; for check, hull and add, --energy"
        in said
    )


@pytest.mark.parametrize(
    ("key", "factor", "per_atom", "words"),
    [
        ("dft_energy", 1.0, False, ["--energy", "dft_energy"]),
        ("free_energy", 1000.0, False, ["--energy", "free_energy", "--energy-unit", "meV"]),
        ("energy_per_atom", 1.0, True, []),
        ("e_pa", 1.0, True, ["--energy", "e_pa"]),
        ("energy", 1000.0, True, ["--energy-unit", "meV/atom"]),
    ],
)
def test_energies_are_added_by_the_name_and_unit_that_are_said(
    key, factor, per_atom, words, parts, hullscout, tmp_path
):
    campaign_file, compounds, stated = parts
    out = made(campaign_file, tmp_path / "out")
    more = written(tmp_path / "more.extxyz", compounds, key, factor, per_atom=per_atom)
    code, text = hullscout("add", out, more, *words)
    assert code == 0, text
    assert f"{N} candidates were added" in text
    found = energies(out)
    assert [found[name] for name, _, _ in stated] == pytest.approx([energy for _, energy, _ in stated])


def test_what_is_added_to_a_pool_with_a_column_of_its_own_is_read_like_it(parts, hullscout, tmp_path):
    campaign_file, compounds, stated = parts
    pool = campaign_file.with_name("pool.extxyz")
    pool.write_text(re.sub(r"energy=(\S+)", lambda m: f"REF={1000 * float(m[1])!r}", pool.read_text()))
    out = made(campaign_file, tmp_path / "out", "pool.energy=REF", "pool.energy_unit=meV")
    more = written(tmp_path / "more.extxyz", compounds, "energy")
    assert hullscout("add", out, more)[0] == 2
    assert hullscout("add", out, more, "--energy", "energy")[0] == 0
    found = energies(out)
    assert [found[name] for name, _, _ in stated] == pytest.approx([energy for _, energy, _ in stated])


def test_energies_of_what_is_added_mean_nothing_where_they_are_computed(live_file, tmp_path):
    out = made(live_file, tmp_path / "out", "oracle.use_known=false")
    with pytest.raises(InvalidPoolError, match=r"has all computed .*Leave out --energy"):
        growth.add_file(out, live_file.with_name("cells.extxyz"), column="energy")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda e, _n: 2 * e, "1/2 of it"),
        (lambda e, _n: e / 2, "2 times it"),
        (lambda e, n: e / n, "look like energies per atom"),
        (lambda _e, n: -0.05 * n, "a formation energy of"),
    ],
)
def test_an_added_energy_that_cannot_be_of_its_cell_is_said_at_once_and_by_each_run(change, said, hullscout, tmp_path):
    campaign_file, out = tmp_path / "c.toml", tmp_path / "out"
    campaign_file.write_text('name = "c"\nelements = ["Cu", "Au"]\n[pool]\npath = "pool.extxyz"\n')
    first, more = [], []
    for place, n_gold in enumerate((0, 4, 1, 2, 3, 2)):
        atoms = bulk("Cu", a=3.7 + 0.05 * place, cubic=True)
        atoms.symbols[:n_gold] = "Au"
        energy = -3.72 * (4 - n_gold) - 3.27 * n_gold - 0.2 * (0 < n_gold < 4)
        atoms.info = {"id": f"s{place}", "energy": change(energy, 4) if place == 5 else energy}
        (more if place == 5 else first).append(atoms)
    write(tmp_path / "pool.extxyz", first)
    write(tmp_path / "more.extxyz", more)
    assert "Suspect" not in hullscout("run", campaign_file, "--out", out)[1]
    for words in (("add", out, tmp_path / "more.extxyz"), ("run", campaign_file, "--out", out)):
        code, text = hullscout(*words)
        lines = [line for line in text.splitlines() if line.startswith("Suspect: ")]
        assert (code, len(lines)) == (0, 1)
        assert "s5" in lines[0]
        assert said in lines[0]


def test_energies_that_are_not_used_of_what_is_added_are_said(live_file, hullscout, tmp_path):
    out = made(live_file, tmp_path / "out", "oracle.use_known=false")
    atoms = bulk("Cu", a=3.9, cubic=True)
    atoms.symbols[0] = "Au"
    atoms.info = {"id": "new", "energy": -14.5}
    write(tmp_path / "more.extxyz", atoms)
    code, text = hullscout("add", out, tmp_path / "more.extxyz")
    assert code == 0
    assert (
        "Energies that they state are not used (1): this campaign computes all anew (oracle.use_known, prior.relax)."
        in text
    )


def test_an_energy_that_all_others_contradict_is_said_before_anything_is_looked_up(
    campaign_file, small_pool, hullscout, tmp_path
):
    frames = frames_of(small_pool)
    place = next(place for place, frame in enumerate(frames) if "\nAg " in frame and "\nPd " in frame)
    name, n_atoms = re.search(r"id=(\S+)", frames[place])[1], int(frames[place].split()[0])
    wrong = re.sub(r"energy=(\S+)", lambda m: f"energy={float(m[1]) + 0.3 * n_atoms!r}", frames[place])
    said = f"Suspect: {name}: "
    pool = campaign_file.with_name("pool.extxyz")
    pool.write_text("".join([wrong, *frames[:place], *frames[place + 1 :]]))
    text = hullscout("run", campaign_file, "--out", tmp_path / "whole")[1]
    assert text.index(said) < text.index("looked up,")
    assert "above what the others suggest" in text
    assert said not in hullscout("run", campaign_file, "--out", tmp_path / "whole")[1]
    pool.write_text("".join([*frames[:place], *frames[place + 1 :]]))
    assert said not in hullscout("run", campaign_file, "--out", tmp_path / "part")[1]
    (tmp_path / "more.extxyz").write_text(wrong)
    assert said in hullscout("add", tmp_path / "part", tmp_path / "more.extxyz")[1]
