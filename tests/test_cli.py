"""The command line as a person uses it: real processes, real files, real kills."""

import json
import os
import re
import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

import pytest
from conftest import CAMPAIGN
from frames import frames_of

from hullscout import __version__
from hullscout.campaign.exports import ExportFormat
from hullscout.cli import results
from hullscout.figures import KINDS

ROOT = Path(__file__).parent.parent


def start(*arguments, cwd):
    command = [sys.executable, "-c", "from hullscout.cli import main; main()", *map(str, arguments)]
    # A shell that runs the tests in the background ignores Ctrl-C, and its children inherit that.
    heed_ctrl_c = None if sys.platform == "win32" else lambda: signal.signal(signal.SIGINT, signal.SIG_DFL)
    return subprocess.Popen(
        command,
        cwd=cwd,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=heed_ctrl_c,  # noqa: PLW1509  no threads at this point
    )


def result_without_times(folder):
    tree = json.loads((folder / "result.json").read_text())
    del tree["timings_s"]
    return json.dumps(tree)


def n_answers(database):
    try:
        with closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True)) as connection:
            return connection.execute("SELECT count(*) FROM answers").fetchone()[0]
    except sqlite3.OperationalError:
        return 0


def write(path, text):
    path.write_text(text)
    return path


def test_help_and_version_name_the_commands_and_show_examples(hullscout):
    code, text = hullscout("--help")
    assert code == 0
    for word in ("run", "status", "plot", "report", "Examples:", "hullscout example agpd"):
        assert word in text
    assert hullscout("--version") == (0, f"hullscout, version {__version__}\n")


@pytest.mark.parametrize(("command", "n_kinds"), [("plot", len(KINDS)), ("export", 4)])
def test_the_kinds_stand_below_each_other_in_the_help(hullscout, command, n_kinds):
    lines = hullscout(command, "--help")[1].splitlines()
    assert not any("\\b" in line or "\b" in line for line in lines)
    first = next(i for i, line in enumerate(lines) if line.startswith(("  hull  ", "  entries  ")))
    assert all(line.startswith("  ") and line[2] != " " for line in lines[first : first + n_kinds])
    assert lines[first + n_kinds] == ""


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["plot", "none", "--kind", "hull", "--candidate", "X"], "--candidate is for --kind mbtr, found --kind hull"),
        (["plot", "none", "--kind", "progress", "--lattices"], "--lattices is for --kind hull, found --kind progress"),
    ],
)
def test_an_option_that_does_not_apply_is_refused(hullscout, arguments, message):
    code, text = hullscout(*arguments)
    assert (code, message in text) == (2, True), text


def test_the_formats_of_exports_are_those_that_there_are():
    assert tuple(ExportFormat) == results.EXPORTS


def test_nothing_is_cited_for_a_folder_without_a_campaign(hullscout, tmp_path):
    code, text = hullscout("cite", tmp_path)
    assert code == 2
    assert text.startswith(f"Error: There is no campaign in {tmp_path}")


@pytest.fixture(scope="module")
def finished(hullscout, tmp_path_factory, small_pool):
    """The folder of the small campaign, run to its end; what that printed is in `printed.txt`."""
    folder = tmp_path_factory.mktemp("finished")
    (folder / "pool.extxyz").write_text(small_pool)
    file = write(folder / "small.toml", CAMPAIGN)
    code, text = hullscout("run", file, "--out", folder / "out")
    assert code == 0, text
    write(folder / "printed.txt", text)
    return folder / "out"


def test_a_run_writes_the_result_the_figure_and_the_store(finished):
    out, text = finished, (finished.parent / "printed.txt").read_text()
    result = json.loads((out / "result.json").read_text())
    assert {path.name for path in out.iterdir()} >= {"campaign.db", "result.json", "hull.png"}
    assert (out / "hull.png").read_bytes().startswith(b"\x89PNG")
    assert result["schema"] == 1
    assert (result["campaign"], result["elements"], result["rule"], result["seed"]) == (
        "small",
        ["Ag", "Pd"],
        "threshold",
        1,
    )
    assert result["saved_fraction"] == pytest.approx(1 - result["n_calculations"] / result["n_candidates"])
    assert result["n_calculations"] == n_answers(out / "campaign.db") < result["n_candidates"]
    assert [vertex["x"] for vertex in result["hull"]] == sorted(vertex["x"] for vertex in result["hull"])
    assert {result["hull"][0]["formula"], result["hull"][-1]["formula"]} == {"Ag", "Pd"}
    assert result["failure_probability"] is None
    assert set(result["reference"]) == {
        "hull_error_ev_per_atom",
        "within_tolerance",
        "exact",
        "mae_uncomputed_ev_per_atom",
    }
    assert set(result["timings_s"]) == {"features", "total"}
    for vertex in result["hull"]:
        assert vertex["formula"] in text
    assert f"Looked up {result['n_calculations']} of {result['n_candidates']} candidates" in text


def test_the_same_seed_gives_the_same_bytes_and_another_seed_another_path(hullscout, finished, campaign_file, tmp_path):
    for name, seed in (("same", 1), ("other", 2)):
        assert hullscout("run", campaign_file, "--out", tmp_path / name, "--seed", seed)[0] == 0
    same, other = (result_without_times(tmp_path / name) for name in ("same", "other"))
    assert result_without_times(finished) == same != other


def test_the_default_folder_is_named_after_the_campaign(hullscout, campaign_file, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert hullscout("run", campaign_file, "--set", "stop.max_calculations=5")[0] == 0
    assert (tmp_path / "runs" / "small" / "result.json").exists()


def test_status_and_plot_read_a_finished_or_a_cut_campaign(hullscout, campaign_file, tmp_path):
    out = tmp_path / "out"
    assert hullscout("run", campaign_file, "--out", out, "--set", "select.rule=hull-posterior")[0] == 0
    code, text = hullscout("status", out)
    assert code == 0
    result = json.loads((out / "result.json").read_text())
    assert f"Finished; see result.json. {result['stop_sentence']}" in " ".join(text.split())
    assert f"hull at the end: {100 * result['failure_probability']:.1f} %." in text
    assert "Hull so far: Ag " in text
    said = " ".join(text.split())
    assert re.search(r"probability of [\d.]+ %, over alloys: [\d.]+ % (by what the model foresees|that samples)", said)
    assert re.search(r"With more calculations it falls to [\d.]+ % after 5, .* or lower", said)
    figure = tmp_path / "again.svg"
    assert hullscout("plot", out, "-o", figure)[0] == 0
    assert "<svg" in figure.read_text()


def test_a_probability_below_the_rate_of_loners_is_warned_of_at_the_start(hullscout, campaign_file, tmp_path):
    settings = ["--set", "select.rule=hull-posterior", "--set", "stop.max_calculations=12"]
    text = hullscout(
        "run", campaign_file, "--out", tmp_path / "out", *settings, "--set", "stop.failure_probability=0.01"
    )[1]
    assert "to accept 1 % only, most structures that could be one are calculated" in text
    assert "that could be one" not in hullscout("run", campaign_file, "--out", tmp_path / "other", *settings)[1]


def test_a_finished_campaign_run_again_gives_the_same_result_without_new_lookups(hullscout, finished):
    before = result_without_times(finished), n_answers(finished / "campaign.db")
    assert hullscout("run", finished.parent / "small.toml", "--out", finished)[0] == 0
    assert (result_without_times(finished), n_answers(finished / "campaign.db")) == before


class Killed(BaseException):
    """Stands for the end of the process: nothing in the package may catch it but the command itself, which says it."""


# No answer, one, the last of the first round, the first and the second of the next one, and somewhere in a later one.
@pytest.mark.parametrize("survived", [0, 1, 11, 12, 13, 20])
def test_a_process_that_ends_after_any_commit_resumes_to_the_same_result(
    hullscout, finished, campaign_file, tmp_path, monkeypatch, survived
):
    from hullscout.campaign import Store

    cut, save_answer, saved = tmp_path / "cut", Store.save_answer, []

    def save_and_die(self, candidate_id, answer, *, attempt):
        if len(saved) == survived:
            raise Killed(f"before the answer of {candidate_id}")
        save_answer(self, candidate_id, answer, attempt=attempt)
        saved.append(candidate_id)

    with monkeypatch.context() as patch:
        patch.setattr(Store, "save_answer", save_and_die)
        patch.chdir(tmp_path)  # where it says what was not foreseen
        code, said = hullscout("run", campaign_file, "--out", cut)
    assert (code, "before the answer of" in " ".join(said.split())) == (70, True)
    assert n_answers(cut / "campaign.db") == survived
    assert hullscout("run", campaign_file, "--out", cut)[0] == 0
    assert result_without_times(cut) == result_without_times(finished)


def run_until(process, is_reached):
    deadline = time.monotonic() + 120
    while not is_reached() and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.001)


@pytest.mark.skipif(sys.platform == "win32", reason="there is no SIGKILL")
def test_a_killed_process_resumes_to_the_same_result(hullscout, tmp_path):
    campaign = ROOT / "campaigns" / "agpd" / "agpd.toml"
    limited = ["run", campaign, "--set", "stop.max_calculations=40"]
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    assert hullscout(*limited, "--out", whole)[0] == 0
    process = start(*limited, "--out", cut, cwd=tmp_path)
    run_until(process, lambda: n_answers(cut / "campaign.db") >= 15)
    process.kill()
    process.communicate()
    assert process.returncode == -signal.SIGKILL
    assert 15 <= n_answers(cut / "campaign.db") < n_answers(whole / "campaign.db")
    assert not (cut / "result.json").exists()
    assert hullscout(*limited, "--out", cut)[0] == 0
    assert result_without_times(cut) == result_without_times(whole)


def test_ctrl_c_ends_cleanly_and_says_how_to_go_on(tmp_path):
    campaign = ROOT / "campaigns" / "agpd" / "agpd.toml"
    out = tmp_path / "out"
    process = start("run", campaign, "--out", out, cwd=tmp_path)
    run_until(process, lambda: n_answers(out / "campaign.db") >= 5)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate()
    assert process.returncode == 130
    assert "run the same command again" in errors
    assert "Traceback" not in errors
    assert n_answers(out / "campaign.db") >= 5


def other_campaign(hullscout, campaign_file, out):
    hullscout("run", campaign_file, "--out", out)
    return ["--seed", "5"]


def corrupted_database(hullscout, campaign_file, out):
    hullscout("run", campaign_file, "--out", out)
    (out / "campaign.db").write_bytes(b"\0" * 5000)
    return []


def foreign_folder(_hullscout, _campaign_file, out):
    out.mkdir()
    write(out / "result.json", "{}")
    return []


def no_pool(_hullscout, campaign_file, _out):
    campaign_file.with_name("pool.extxyz").unlink()
    return []


def changed_pool(change):
    def prepare(_hullscout, campaign_file, _out):
        pool = campaign_file.with_name("pool.extxyz")
        pool.write_text(change(pool.read_text()))
        return []

    return prepare


BAD_CELL = """2
Lattice="4 0 0 0 4 0 0 0 {c}" Properties=species:S:1:pos:R:3 id=bad energy=0
Ag 0 0 0
Ag {x} 0 0
"""


def without_frame(text, candidate_id):
    return "".join(frame for frame in frames_of(text) if f"id={candidate_id} " not in frame)


FAULTS = {
    "unknown key": (lambda *_: ["--set", "select.colour=1"], "select.colour: unknown key. Allowed here: rule, batch"),
    "wrong type": (lambda *_: ["--set", "select.batch=many"], "select.batch: expected a valid integer, found 'many'"),
    "missing pool": (no_pool, "pool.extxyz is not there"),
    "repeated id": (changed_pool(lambda text: text + text[: text.index("\n", text.index("Ag  ")) + 1]), "is repeated"),
    "infinite energy": (changed_pool(lambda text: text.replace("energy=0.0", "energy=inf", 1)), "energy"),
    "NaN coordinate": (changed_pool(lambda text: text.replace("0.00000000", "nan", 1)), "expected finite coordinates"),
    "foreign element": (changed_pool(lambda text: text.replace("Pd  ", "Pt  ", 1)), "Pt"),
    "truncated file": (changed_pool(lambda text: text[: len(text) - 60]), "truncated"),
    "no pure element": (changed_pool(lambda text: without_frame(text, "Pd")), "Pd"),
    "atoms too close": (changed_pool(lambda text: text + BAD_CELL.format(x="0.4", c="4")), "id 'bad'"),
    "cell without volume": (changed_pool(lambda text: text + BAD_CELL.format(x="2", c="0")), "volume"),
    "limit below the pure elements": (lambda *_: ["--set", "stop.max_calculations=1"], "expected at least 2"),
    "folder of another campaign": (other_campaign, "seed: 1 before, 5 now"),
    "corrupted database": (corrupted_database, "is damaged or is no campaign"),
    "folder of something else": (foreign_folder, "holds result.json but no campaign.db"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_bad_input_is_one_clear_error_and_nothing_is_overwritten(hullscout, campaign_file, tmp_path, fault):
    prepare, message = FAULTS[fault]
    out = tmp_path / "out"
    arguments = prepare(hullscout, campaign_file, out)
    before = {path: path.read_bytes() for path in out.rglob("*") if path.is_file()} if out.exists() else {}
    code, text = hullscout("run", campaign_file, "--out", out, *arguments)
    assert code == 2
    assert message in text
    assert text.splitlines()[0].startswith("Error: ") or text.splitlines()[1].startswith("Error: ")
    assert len(text.splitlines()) <= 24
    for path, content in before.items():
        assert path.read_bytes() == content
    if not before:
        assert not out.exists(), "a folder that nothing was looked up for is not made"


@pytest.mark.parametrize(
    "name",
    ["100 $ cost_1 ^ $x", "$\\frac$ a", "x [/foo] y", "[red]x[/red]", "a :smile: b", "a/../b", "Ångström \U0001f600"],
)
def test_any_printable_name_is_shown_as_it_is(hullscout, campaign_file, tmp_path, name):
    out = tmp_path / "out"
    code, text = hullscout(
        "run", campaign_file, "--out", out, "--set", f"name='{name}'", "--set", "stop.max_calculations=5"
    )
    assert code == 0
    assert f"Convex hull of {name}" in text
    assert json.loads((out / "result.json").read_text())["campaign"] == name


def three_frames(energies):
    lattices = ("0 2 2 2 0 2 2 2 0", "0 2 2 2 0 2 2 2 0", "4 0 0 0 4 0 0 0 4")
    atoms = ("Ag 0 0 0\n", "Pd 0 0 0\n", "Ag 0 0 0\nPd 2 2 2\n")
    return "".join(
        f'{len(atom.splitlines())}\nLattice="{lattice}" Properties=species:S:1:pos:R:3 id=c{i} energy={energy}\n{atom}'
        for i, (energy, lattice, atom) in enumerate(zip(energies, lattices, atoms, strict=False))
    )


@pytest.mark.parametrize(
    "energies",
    [(0, 0), (0, 0, 0), (-3, -3, -6), (0, 0, 5), (-1e6, -1e6, -2e6 - 1)],
    ids=["two", "zero", "equal", "up", "offset"],
)
def test_degenerate_pools_run_to_their_end(hullscout, campaign_file, tmp_path, energies):
    campaign_file.with_name("pool.extxyz").write_text(three_frames(energies))
    code, text = hullscout("run", campaign_file, "--out", tmp_path / "out")
    assert (code, "Looked up" in text) == (0, True)


@pytest.mark.parametrize("per_atom", [0.0, -0.5])
def test_a_pool_without_any_formation_energy_runs_to_its_end(hullscout, campaign_file, tmp_path, per_atom):
    pool = campaign_file.with_name("pool.extxyz")
    frames = frames_of(pool.read_text())
    pool.write_text("".join(re.sub(r"energy=\S+", f"energy={int(f.split()[0]) * per_atom}", f) for f in frames))
    code, text = hullscout("run", campaign_file, "--out", tmp_path / "out")
    assert (code, "true hull" in text) == (0, True)


@pytest.mark.parametrize(
    ("name", "message"),
    [("x.bmpp", "expected a file that ends in .png"), ("x", "no ending"), ("no/x.png", "cannot be written")],
)
def test_a_figure_that_cannot_be_written_is_a_clear_error(hullscout, finished, tmp_path, name, message):
    code, text = hullscout("plot", finished, "-o", tmp_path / name)
    assert (code, message in text) == (2, True)


def test_an_error_of_a_real_process_goes_to_stderr_without_a_traceback(campaign_file, tmp_path):
    process = start("run", campaign_file, "--set", "select.colour=1", cwd=tmp_path)
    text, errors = process.communicate()
    assert (process.returncode, text) == (2, "")
    assert errors.startswith("Error: ")
    assert "Traceback" not in errors


def test_help_is_quick_to_import():
    code = "import sys; import hullscout.cli; print(len(sys.modules))"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env=dict(os.environ)
    )
    assert int(done.stdout) < 400
