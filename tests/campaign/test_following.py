"""`--follow` shows a campaign as it goes on, at most so often, ends with it or on Ctrl-C, and never touches it."""

import itertools
import signal
import subprocess
import sys
import time
from types import SimpleNamespace

import pytest
from ase.calculators.emt import EMT

import hullscout.figures.report
from hullscout import Campaign
from hullscout.cli import following
from hullscout.files import sha256_of


class Clock:
    """Time that passes only while somebody sleeps; in each sleep something happens."""

    def __init__(self, happens):
        self.now, self.happens = 0.0, happens

    def monotonic(self):
        return self.now

    def sleep(self, seconds):
        self.now += seconds
        next(self.happens, None)


@pytest.fixture
def clock(monkeypatch):
    """Puts a clock in place of the real one, and notes when pages are written and whether these load themselves again."""
    written = []

    def set_clock(happens):
        now = Clock(happens)
        monkeypatch.setattr(following, "time", SimpleNamespace(monotonic=now.monotonic, sleep=now.sleep))
        write = hullscout.figures.report.write_report

        def noted(path, reported, *, reload_s=None, **told):
            written.append((now.now, reload_s))
            write(path, reported, reload_s=reload_s, **told)

        monkeypatch.setattr(hullscout.figures.report, "write_report", noted)
        return written

    return set_clock


@pytest.fixture
def folder(live_file, tmp_path):
    """A campaign of ten Cu-Au cells whose energies are told, and nothing is asked for yet."""
    text = live_file.read_text().replace('kind = "calculator"\ncalculator = "emt"', 'kind = "handoff"')
    live_file.write_text(text.replace('[executor]\nkind = "in-process"\n', ""))
    return Campaign.create(live_file, tmp_path / "out").folder


def going_on(folder):
    """Asks and tells, one answer at a time, to the end."""
    campaign = Campaign(folder)
    while asked := campaign.ask(2):
        yield
        for candidate in asked:
            atoms = candidate.to_ase()
            atoms.calc = EMT()
            campaign.tell(candidate.id, atoms.get_potential_energy())
            yield


def test_the_page_is_written_after_rounds_at_most_once_a_minute_and_at_the_end_for_good(hullscout, folder, clock):
    written = clock(going_on(folder))
    code, text = hullscout("report", folder, "--follow")
    assert code == 0, text
    assert text.startswith("There is no hull yet: the energies of all pure elements are needed.")
    assert text.count("There is no hull yet") == 1
    times, reloads = zip(*written, strict=True)
    assert len(times) > 2
    assert all(after - before >= 60 for before, after in itertools.pairwise(times))
    assert (set(reloads[:-1]), reloads[-1]) == ({60}, None)
    assert "data-reload" not in (folder / "report.html").read_text(encoding="utf-8").partition("<head>")[0]
    assert Campaign(folder).result is not None
    assert text.rstrip().endswith("10 energies known.")


def test_ctrl_c_ends_it_with_a_sentence_and_leaves_a_page_that_is_whole_and_settled(hullscout, folder, clock):
    def until_somebody_presses():
        for n, _ in enumerate(going_on(folder)):
            if n == 8:
                raise KeyboardInterrupt
            yield

    written = clock(until_somebody_presses())
    code, text = hullscout("report", folder, "--follow", "-o", folder.with_name("page.html"))
    assert code == 130
    assert text.rstrip().endswith(
        "Interrupted. The page is whole, as it was last written. "
        "The campaign was only looked at, and goes on or stands as it was."
    )
    assert written[-1][1] == 60
    page = folder.with_name("page.html").read_text(encoding="utf-8")
    assert page.rstrip().endswith("</html>")
    assert "data-reload" not in page.partition("<head>")[0]
    assert Campaign(folder).result is None


def test_following_writes_nothing_into_the_campaign(hullscout, folder, clock):
    happens = going_on(folder)
    for _ in range(8):
        next(happens)
    happens.close()

    def state():
        return {path.name: sha256_of(path.read_bytes()) for path in folder.iterdir()}

    def looked_at():
        yield
        raise KeyboardInterrupt

    before = state()
    for command in (("report", "-o", folder.with_name("page.html")), ("status",)):
        clock(looked_at())
        assert hullscout(command[0], folder, "--follow", *command[1:])[0] == 130
        assert state() == before


def test_status_is_said_again_when_answers_come_until_the_end(hullscout, folder, clock):
    clock(going_on(folder))
    code, text = hullscout("status", folder, "--follow")
    assert code == 0, text
    _, *said = text.split("live: rule")
    assert len(said) == len(set(said)) > 4
    assert text.count("Followed until the campaign ends; Ctrl-C ends this sooner.") == len(said) - 1
    assert text.splitlines()[-1].startswith("Finished; see result.json.")


def test_a_campaign_at_its_end_is_shown_once(hullscout, folder, clock):
    for _ in going_on(folder):
        pass
    written = clock(iter(()))
    assert hullscout("report", folder, "--follow")[0] == 0
    assert written == [(0.0, None)]


def test_a_folder_without_a_campaign_is_not_waited_for(hullscout, tmp_path, clock):
    clock(iter(()))
    code, text = hullscout("report", tmp_path, "--follow")
    assert (code, "There is no campaign in" in text) == (2, True)


INTERRUPTIBLE = """
import signal, sys
from hullscout.cli import main
signal.signal(signal.SIGINT, signal.default_int_handler)  # what is started in the background ignores it
main(sys.argv[1:])
"""


@pytest.mark.skipif(sys.platform == "win32", reason="Windows sends no SIGINT to one process")
@pytest.mark.parametrize(("command", "said", "kept"), [
    (("status",), "Ctrl-C ends this sooner", "Interrupted"),
    (("report",), "rounds, ", "The page is whole, as it was last written."),
])  # fmt: skip
def test_ctrl_c_ends_following_at_once_and_leaves_a_page_that_is_whole(folder, command, said, kept):
    """A process of its own, and a SIGINT of the system."""
    happens = going_on(folder)
    for _ in range(8):
        next(happens)
    happens.close()
    arguments = [sys.executable, "-c", INTERRUPTIBLE, *command, str(folder), "--follow"]
    with subprocess.Popen(arguments, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
        try:
            seen = ""
            while said not in seen:
                line = process.stdout.readline()
                assert line, seen
                seen += line
            began = time.monotonic()
            process.send_signal(signal.SIGINT)
            rest = process.communicate(timeout=60)[0]
        finally:
            process.kill()
    assert process.returncode == 130
    assert time.monotonic() - began < 30
    assert "Traceback" not in rest
    assert kept in " ".join(rest.split())
    if command == ("report",):
        page = (folder / "report.html").read_text()
        assert page.rstrip().endswith("</html>")
        assert "data-reload" not in page.partition("<head>")[0]
