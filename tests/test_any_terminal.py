"""What cannot be printed ends no command, and nothing foreign gives a terminal, a spreadsheet or a page orders."""

import os
import subprocess
import sys

import pytest

from hullscout.cli.shared import console
from hullscout.display import formula_note, html_table, is_visible, visible, visible_lines
from hullscout.errors import InvalidPoolError, InvalidStructureError
from hullscout.oracle import Calculated, Failed
from hullscout.oracle.outcome import FailureReason
from hullscout.pool import Candidate, parse_frames

HOSTILE = [
    "\x1b[2J",
    "\x1b]52;c;cm0=\x1b\\",
    "\x00",
    "\x07",
    "\x9b31m",
    "a\u202eb",
    "a\u200bb",
    "a\u2028b",
    "a\rb",
    "a\nb",
    "\u3164",
]
FRAME = '1\nLattice="4 0 0 0 4 0 0 0 4" Properties=species:S:1:pos:R:3 id="{id}" energy=-1.0 pbc="T T T"\nAg 0 0 0\n'


def in_shell(script, folder, **environment):
    command = f"{sys.executable} -m hullscout"
    return subprocess.run(
        ["/bin/bash", "-c", script.replace("hullscout", command, 1)],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path)), **environment},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize("sign", HOSTILE)
def test_signs_that_are_not_seen_are_escaped_wherever_text_is_shown_or_kept(sign, tmp_path):
    assert is_visible(visible(sign))
    assert not is_visible(f"x{sign}")
    assert is_visible(Failed(reason=FailureReason.REPORTED, sentence=f"x{sign}").sentence)
    assert is_visible(Calculated(energy_ev=0.0, note=f"x{sign}").note)
    assert sign not in html_table(["id"], [[f"x{sign}"]])
    with pytest.raises(InvalidStructureError, match="an id of printable characters on one line"):
        Candidate(id=f"x{sign}", numbers=[47], positions=[[0, 0, 0]], cell=[[4, 0, 0], [0, 4, 0], [0, 0, 4]])
    if not set(sign) & set("\r\n\\\0"):
        with pytest.raises(InvalidPoolError, match="expected an id of printable characters on one line"):
            parse_frames(FRAME.format(id=f"x{sign}").encode(), path=tmp_path)


def test_ordinary_text_is_shown_as_it_is():
    for text in (
        "fcc/Al3Li #2",
        "Kräuter 合金",
        "a \N{MINUS SIGN} b",
        "[red]x[/red]",
        "5\N{NO-BREAK SPACE}%",
        "C:\\runs",
    ):
        assert visible(text) == text


def test_no_line_of_an_error_can_be_taken_for_another_message():
    assert (
        visible_lines("a: 1 fault.\n  frame 1\nStopped: all fine\x1b")
        == "a: 1 fault.\n  frame 1\n  Stopped: all fine\\x1b"
    )


def test_ids_that_a_spreadsheet_takes_for_formulas_are_said():
    assert formula_note(["a", "b=1"]) == ""
    assert formula_note(["=1+1", "a"]).startswith("1 id begins with =, +, - or @, the first =1+1:")


@pytest.mark.parametrize(
    ("lost", "said"),
    [
        ("> /dev/full", "Standard output"),
        ("2> /dev/full", "Standard error"),
        ("> /dev/full 2>&1", ""),
        (">&- 2>&- <&-", ""),
        ("2>&1 | head -n 1", ""),
    ],
)
def test_a_campaign_ends_as_ever_whatever_becomes_of_its_lines(campaign_file, lost, said):
    done = in_shell(f"set -o pipefail; hullscout run small.toml --out out {lost}", campaign_file.parent)
    assert done.returncode == 0, done.stderr
    assert (campaign_file.parent / "out" / "result.json").exists()
    assert (done.stdout + done.stderr).count("cannot be written: No space left on device") == bool(said)
    assert f"{said} cannot be written" in done.stdout + done.stderr or not said
    assert "Traceback" not in done.stdout + done.stderr


def test_a_command_that_only_prints_says_by_its_exit_code_that_there_was_no_room(tmp_path):
    full = in_shell("hullscout cite > /dev/full", tmp_path)
    assert (full.returncode, full.stderr.count("cannot be written")) == (3, 1)
    assert in_shell("set -o pipefail; hullscout cite | true", tmp_path).returncode == 0


@pytest.mark.parametrize(
    "environment",
    [
        *({"COLUMNS": text, "LINES": text} for text in ("0", "1", "10000", "²", "wide")),
        *({"PYTHONIOENCODING": name} for name in ("ascii", "latin-1")),
        {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
        {"TERM": "dumb", "NO_COLOR": "1", "HOME": "/nonexistent"},
    ],
    ids=str,
)
def test_any_width_encoding_and_terminal_will_do(tmp_path, environment):
    (tmp_path / "pool.extxyz").write_text(FRAME.format(id="Kräuter\N{MINUS SIGN}合金"))
    done = in_shell("hullscout check pool.extxyz --elements Ag,Pd", tmp_path, **environment)
    assert done.returncode == 1, done.stderr
    assert "pool.extxyz: 1 frames of Ag-Pd" in done.stdout
    assert "Traceback" not in done.stderr


def test_a_fault_of_ours_is_told_as_one_and_its_traceback_is_kept(tmp_path):
    code = (
        "from hullscout.cli import main, results\n"
        "def broken(**_): raise LookupError('x\\x1b')\n"
        "results.cite.callback = broken; main(['cite'])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=False,
        cwd=tmp_path,
        env={**os.environ, "TMPDIR": str(tmp_path)},
    )
    assert done.returncode == 70
    assert "This is a bug of Hullscout" in done.stderr
    assert "Traceback (most" not in done.stderr
    assert "\x1b" not in done.stderr
    (kept,) = tmp_path.glob("hullscout-error-*.txt")
    assert "LookupError" in kept.read_text()


@pytest.mark.parametrize("width", range(60, 101))
def test_numbers_stay_with_their_units_and_what_is_copied_holds_plain_spaces(width, monkeypatch, capsys):
    monkeypatch.setenv("COLUMNS", str(width))
    sentence = "The stated probability that the hull is wrong by more than 1 meV/atom is 4.6 %, below the accepted 5 %."
    console().print(sentence)
    shown = capsys.readouterr().out
    assert " ".join(shown.split()) == sentence
    assert "\N{NO-BREAK SPACE}" not in shown
    assert max(map(len, shown.splitlines())) <= width
    assert not [line for line in shown.splitlines() if line.startswith(("meV", "%"))]


def test_a_sign_that_stands_for_a_space_inside_is_escaped_like_any_other(capsys):
    console().print("a\ue000b")
    assert capsys.readouterr().out == "a\\ue000b\n"
