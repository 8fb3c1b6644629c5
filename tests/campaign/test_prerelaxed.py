"""Candidates that a potential relaxes before anything is asked for: Cu-Au cells and strained copies of them, relaxed by EMT."""

import json
from dataclasses import replace

import ase.io
import numpy as np
import pytest
from ase import Atoms
from conftest import ROOT
from kept import rows

from hullscout import Campaign
from hullscout.campaign import CampaignResult, Setup, read_origin, run
from hullscout.campaign.beforehand import known_beforehand
from hullscout.campaign.prior import Prior
from hullscout.errors import InvalidCampaignError, StoreError
from hullscout.pool import Pool, read_pool, save_frames

CAMPAIGN = """
name = "relaxed first"
elements = ["Cu", "Au"]

[pool]
path = "cells.extxyz"

[prior]
calculator = "ase.calculators.emt.EMT"
relax = "cell"

[oracle]
kind = "calculator"
calculator = "counting_calculators.Recording"

[executor]
kind = "in-process"

[select]
samples = 200

[stop]
max_calculations = 12
"""
ALONE, BAIN, SHAKEN, PURE = "fcc-A2B2-0003", "a-bain", "z-shaken", "z-copper"
"""What becomes another structure, what becomes another candidate, what is one but for noise, and a pure element that is."""


def strained(frame, name, strain, *, shift=0.0):
    moved = frame.positions @ strain + shift * np.random.default_rng(1).standard_normal(frame.positions.shape)
    return replace(frame, id=name, cell=frame.cell @ strain, positions=moved)


@pytest.fixture(scope="module")
def frames():
    every = {frame.id: frame for frame in read_pool(ROOT / "campaigns" / "cuau-emt" / "cuau-cells.extxyz.gz").frames}
    shear = np.eye(3) + 0.02 * np.random.default_rng(0).standard_normal((3, 3))
    return [
        *(frame for frame in every.values() if len(frame.numbers) <= 3 or frame.id == ALONE),
        strained(every["fcc-A1B1-0001"], BAIN, np.diag([0.85, 1.0, 1.0])),
        strained(every["fcc-A1B2-0001"], SHAKEN, shear, shift=0.05),
        strained(every["fcc-A1-0001"], PURE, shear),
    ]


def made(folder, frames):
    """A campaign file with its pool beside it."""
    save_frames(folder / "cells.extxyz", frames)
    path = folder / "campaign.toml"
    arguments = f"arguments = {{ log = {json.dumps(str(folder / 'log.txt'))} }}"
    path.write_text(CAMPAIGN.replace('Recording"', f'Recording"\n{arguments}'))
    return path


@pytest.fixture
def file(tmp_path, frames):
    return made(tmp_path, frames)


@pytest.fixture(scope="module")
def done(tmp_path_factory, frames):
    """One that ran to its end, which tests only read: its folder, the file beside that, the result and what was said."""
    folder, notes = tmp_path_factory.mktemp("done"), []
    file = made(folder, frames)
    result = played(file, folder / "out", on_note=notes.append)
    return folder / "out", file, result, notes


def played(file, folder, settings=(), **options):
    return run(Setup(read_origin(file, settings)).as_in(folder), folder, **options)[0]


def asked(tmp_path):
    """What the oracle was given, by id, and how often it was asked."""
    said = [json.loads(line) for line in (tmp_path / "log.txt").read_text().splitlines()]
    return {each["id"]: each for each in said}, len(said)


def kept(folder, result):
    """All that is decided and known, without times."""
    found = {name: value for name, value in json.loads(result.to_json()).items() if name != "timings_s"}
    queries = ("SELECT record FROM rounds ORDER BY round", "SELECT id, energy_ev FROM answers ORDER BY id")
    prior = rows(folder, "SELECT key, value FROM campaign WHERE key LIKE 'prior%' ORDER BY key")
    return found, prior, *(rows(folder, query) for query in queries)


def test_the_oracle_and_the_model_are_given_the_relaxed_cells(done, frames):
    (out, file, result, _), given = done, {frame.id: frame for frame in frames}
    setup = Setup.read(out)
    found, n_asked = asked(file.parent)
    assert n_asked == len(found) == result.n_calculations
    for name, atoms in found.items():
        start = given[name].candidate() if name == ALONE else setup.origin.prior.relaxed[name]
        np.testing.assert_array_equal(atoms["cell"], start.cell)
        np.testing.assert_array_equal(atoms["positions"], start.positions)
        assert setup.pool[name].has_same_atoms(start)
    moved = [name for name in found if not np.allclose(found[name]["cell"], given[name].cell, atol=1e-4)]
    assert len(moved) > 0.7 * len(found)
    column = setup.pool.baseline_ev_per_atom
    np.testing.assert_array_equal(np.isnan(column), [name == ALONE for name in setup.pool.ids])
    assert setup._kept is not None
    anew = Setup(setup.origin)
    assert anew._kept is None
    for name, block in anew.features.items():  # by as many threads as those that are kept
        np.testing.assert_array_equal(setup.features[name], block)
    assert result.baselines["prior"].endswith("cell and atoms relaxed")


def test_what_became_another_one_is_told_and_calculated_once(done, hullscout):
    out, _, result, notes = done
    pool = Setup.read(out).pool
    assert notes[0].startswith("Relaxing 14 structures by ase.calculators.emt.EMT of ase")
    merged = f"{BAIN} = fcc-A1B1-0001, {SHAKEN} = fcc-A1B2-0001"
    assert f"Relaxed into the crystal of another candidate, and calculated as that: {merged}." in notes
    (alone,) = (note for note in notes if "that is no candidate" in note)
    assert f"an energy of the prior: {ALONE}. The first: It relaxed into another structure" in alone
    assert BAIN not in pool
    assert SHAKEN not in pool
    assert PURE in pool, "the elements are never merged"
    assert pool.twins["fcc-A1B1-0001"] == (BAIN,)
    with pytest.raises(KeyError, match="It is a twin of 'fcc-A1B1-0001'"):
        pool.index_of(BAIN)
    assert pool.report.n_candidates == len(pool) == result.n_candidates == 12
    assert pool.report.lines()[0] == "14 frames hold 12 candidates."
    assert not any("occur" in line for line in pool.report.lines())
    assert CampaignResult.from_json(result.to_json()).prerelaxed == result.prerelaxed
    code, said = hullscout("status", out)
    assert code == 0
    for sentence in notes[1:]:
        assert sentence in result.sentences
        assert sentence in " ".join(said.split())


@pytest.mark.parametrize("n_done", [5, 14])
def test_a_campaign_that_was_ended_while_it_relaxed_ends_in_the_same(file, tmp_path, monkeypatch, n_done):
    class EndedError(Exception):
        pass

    def end(n, _n_all):
        if n == n_done:
            raise EndedError("ended")

    whole, cut = tmp_path / "whole", tmp_path / "cut"
    uninterrupted = kept(whole, played(file, whole))
    with pytest.raises(EndedError, match="ended"):
        played(file, cut, on_computed=end)
    assert len(Setup.read(cut).pool) == 14, "as given until all are relaxed and compared"
    assert Setup.read(cut).pool.baseline_ev_per_atom is None
    assert kept(cut, played(file, cut)) == uninterrupted
    monkeypatch.setattr(Prior, "compared", None)
    assert kept(cut, played(file, cut)) == uninterrupted


def test_what_is_added_is_relaxed_too_and_the_rounds_before_read_as_they_did(file, tmp_path, frames):
    late = [frame for frame in frames if frame.id in {SHAKEN, "fcc-A1B1-0001", "fcc-A2B1-0003"}]
    save_frames(tmp_path / "late.extxyz", late)
    (tmp_path / "cells.extxyz").unlink()
    save_frames(tmp_path / "cells.extxyz", [frame for frame in frames if frame not in late])
    out = tmp_path / "out"
    played(file, out, ["stop.max_calculations=6"])
    first, before = Setup.read(out).pool, rows(out, "SELECT record FROM rounds ORDER BY round")
    assert BAIN in first, "it became what was no candidate then"
    Campaign(out).add(tmp_path / "late.extxyz")
    assert Setup.read(out).pool.ids[: len(first)] == first.ids
    played(file, out)
    assert rows(out, "SELECT record FROM rounds ORDER BY round")[: len(before) - 1] == before[:-1]
    pool, prior = Setup.read(out).pool, Setup.read(out).origin.prior
    assert pool.ids == (*first.ids, "fcc-A1B1-0001", "fcc-A2B1-0003")
    assert prior.stands_for[SHAKEN] == "fcc-A1B2-0001"
    assert all(mine.has_same_atoms(theirs) for mine, theirs in zip(pool, first, strict=False))
    twin = strained(next(f for f in frames if f.id == "fcc-A2B1-0001"), BAIN, np.diag([1.0, 1.0, 1.0]))
    save_frames(tmp_path / "known.extxyz", [replace(f, id=f.id.replace(BAIN, "again")) for f in (twin,)])
    assert Campaign(out).add(tmp_path / "known.extxyz").twins == {"again": "fcc-A2B1-0001"}


def test_a_handoff_hands_out_the_relaxed_cells_and_takes_results_of_them(file, tmp_path, hullscout):
    text = file.read_text()
    file.write_text(text[: text.index("[oracle]")] + '[oracle]\nkind = "handoff"\n')
    out = tmp_path / "out"
    code, said = hullscout("run", file, "--out", out)
    assert code == 0, said
    assert "calculated as that" in said
    relaxed = Setup.read(out).origin.prior.relaxed
    campaign = Campaign(out)
    for candidate in campaign.ask(3):
        assert candidate.has_same_atoms(relaxed[candidate.id])
    assert hullscout("ask", out, "-n", "2", "--to", tmp_path / "box")[0] == 0
    written = [ase.io.read(path) for path in (tmp_path / "box").glob("*/POSCAR")]
    assert len(written) == 2
    cells = [one.right_handed().cell for one in relaxed.values()]
    assert all(any(np.allclose(atoms.cell, cell, atol=1e-6) for cell in cells) for atoms in written)


def test_tables_hold_what_was_calculated_and_the_pool_as_it_was_given(done, tmp_path, frames, hullscout):
    out, file, result, _ = done
    prior, tables = Setup.read(out).origin.prior, {}
    for which in ("start", "given"):
        path = tmp_path / f"{which}.extxyz"
        assert hullscout("table", out, "-o", path, "--structures", which)[0] == 0
        tables[which] = {frame.id: frame for frame in read_pool(path).frames}
    for frame in frames:
        assert np.allclose(tables["given"][frame.id].cell, frame.cell)
        assert tables["given"][frame.id].energy_ev is None
        start = tables["start"][frame.id]
        is_relaxed = frame.id not in {ALONE, BAIN, SHAKEN}
        assert np.allclose(start.cell, prior.relaxed[frame.id].cell if is_relaxed else frame.cell)
        assert is_relaxed or frame.id == ALONE or start.energy_ev is None
    known = tmp_path / "again.toml"
    other = file.read_text().replace('path = "cells', f'known = [{json.dumps(str(out))}]\npath = "start')
    known.write_text(other.replace('relax = "cell"', ""))
    setup = Setup(read_origin(known, ["oracle.use_known=false"]))
    assert len(known_beforehand(setup).answers) == result.n_calculations


def test_energies_that_the_pool_states_are_of_other_cells(file, tmp_path, frames):
    (tmp_path / "cells.extxyz").unlink()
    save_frames(tmp_path / "cells.extxyz", [replace(frame, energy_ev=0.1 * len(frame.numbers)) for frame in frames])
    notes = []
    result = played(file, tmp_path / "out", on_note=notes.append)
    assert any(note.startswith("cells.extxyz: the energies that it states (14) are not used") for note in notes)
    assert not result.known_beforehand
    more = Atoms("Cu3Au", positions=2.6 * np.arange(12).reshape(4, 3) % 5, cell=[5, 5, 5], pbc=True)
    more.info = {"id": "new", "energy": 1.0}
    added = Campaign(tmp_path / "out").add([more])
    assert added.n_known == 0
    assert added.n_unused == 1
    assert any(
        "are not used (1): this campaign computes all anew (oracle.use_known, prior.relax)" in s
        for s in added.sentences
    )


def test_what_cannot_be_relaxed_keeps_its_cell_and_moments_stay(file, tmp_path, frames):
    (tmp_path / "cells.extxyz").unlink()
    moments = {"fcc-A2B1-0001": np.array([1.0, -1.0, 0.5])}
    save_frames(tmp_path / "cells.extxyz", [replace(frame, magmoms=moments.get(frame.id)) for frame in frames])
    log, notes = json.dumps(str(tmp_path / "prior.txt")), []
    settings = [
        "prior.calculator=counting_calculators.Counting",
        f'prior.arguments={{ log = {log}, fails = ["Au2Cu2"] }}',
        'prior.relax="volume"',
        "executor.retries=0",
    ]
    played(file, tmp_path / "out", settings, on_note=notes.append)
    setup = Setup.read(tmp_path / "out")
    assert f"Not relaxed, since that failed, and calculated as given: {ALONE}." in notes
    np.testing.assert_array_equal(setup.pool[ALONE].cell, next(f.cell for f in frames if f.id == ALONE))
    np.testing.assert_array_equal(setup.pool["fcc-A2B1-0001"].magmoms, moments["fcc-A2B1-0001"])
    assert setup.origin.prior.source.endswith("volume and atoms relaxed")


@pytest.mark.parametrize(
    ("settings", "match"),
    [
        (["oracle={kind = 'table'}"], r"prior\.relax: expected energies that are calculated .* found a table"),
        (["pool.known=['runs/one']"], r"prior\.relax: expected energies .* found pool\.known, whose"),
        (["prior={relax = 'cell'}"], "prior: relax is for a calculator; name one"),
        (["prior.relax=positions"], r"prior\.relax: expected 'none', 'volume' or 'cell', found 'positions'"),
    ],
)
def test_what_it_cannot_be_used_with_is_refused(file, settings, match):
    with pytest.raises(InvalidCampaignError, match=match):
        read_origin(file, settings)


def test_it_belongs_to_the_campaign(done):
    out, file, _, _ = done
    with pytest.raises(StoreError, match=r"prior\.relax: 'cell' before, 'none' now"):
        played(file, out, ["prior.relax=none"])


def test_one_crystal_of_two_energies_is_two_and_what_is_no_candidate_stands_for_nothing(frames):
    ids = ["fcc-A1B1-0001", "fcc-A1B2-0001", "fcc-A1-0001", "fcc-B1-0001", BAIN, SHAKEN]
    pool = Pool.of([frame.candidate() for frame in frames if frame.id in ids], ("Cu", "Au"))
    same = {BAIN: "fcc-A1B1-0001", SHAKEN: "fcc-A1B2-0001"}
    relaxed = {each: replace(pool[same.get(each, each)], id=each) for each in pool.ids}
    energies = dict.fromkeys(pool.ids, 0.0)
    prior = Prior(source="a potential", energies_ev=energies, relaxed=relaxed)
    assert prior.compared(pool) == {each: same.get(each, each) for each in pool.ids} | {
        "fcc-A1B1-0001": BAIN,
        BAIN: BAIN,
    }
    lower = replace(prior, energies_ev=energies | {BAIN: 0.1})
    assert lower.compared(pool) == {each: same.get(each, each) for each in pool.ids} | {BAIN: BAIN}
    became = replace(prior, changed={BAIN: "It changed.", "fcc-A1B1-0001": "It changed."})
    assert became.compared(pool)[BAIN] == BAIN
    assert became.compared(pool)["fcc-A1B1-0001"] == "fcc-A1B1-0001"
    lost = replace(prior, changed={"fcc-B1-0001": "It changed.", "fcc-A1-0001": "It changed."})
    assert lost.missing_ends(pool) == ("pure Cu", "pure Au")
