"""Numbers in prose agree with the command that their sentence names.

A sentence of the README, the guide or a campaign's page that names in backticks a command on a committed campaign, such as
`hullscout run campaigns/agpd/agpd.toml`, is about what that command prints: each of its numbers outside backticks stands there.
"""

import re
import shutil
from pathlib import Path

import pytest
from markdown_it import MarkdownIt
from page_blocks import run_bash

ROOT = Path(__file__).parent.parent
PAGES = [ROOT / "README.md", *sorted((ROOT / ".docs").glob("*.md")), *sorted((ROOT / "campaigns").glob("*/README.md"))]
COMMAND = re.compile(r"`(hullscout (?:run|plan|check|hull) campaigns/[^`]+)`")
NUMBER = re.compile(r"(?<![\w.])\d+(?:\.\d+)?(?!\w)")


def sentences_of(text):
    """The sentences of a page, tables and blocks of code aside."""
    for token in MarkdownIt().parse(text):
        if token.type == "inline" and "|" not in token.content:
            prose = " ".join(token.content.split())
            yield from re.split(r"(?<=[.:]) (?=[A-Z`])", prose)


def stated(text):
    """Each sentence that names a command, with the command and the numbers outside of backticks and links."""
    found = []
    for sentence in sentences_of(text):
        plain = re.sub(r"`[^`]*`|\]\([^)]*\)", " ", sentence)
        found += [(command, sentence, NUMBER.findall(plain)) for command in COMMAND.findall(sentence)]
    return [one for one in found if one[2]]


def not_printed(numbers, printed):
    shown = set(NUMBER.findall(printed))
    return [number for number in numbers if number not in shown]


CASES = [
    pytest.param(*one, id=f"{page.relative_to(ROOT)}-{place}")
    for page in PAGES
    for place, one in enumerate(stated(page.read_text(encoding="utf-8")))
]


@pytest.mark.slow
@pytest.mark.parametrize(("command", "sentence", "numbers"), CASES)
def test_numbers_of_a_sentence_stand_in_what_its_command_prints(command, sentence, numbers, tmp_path):
    shutil.copytree(ROOT / "campaigns", tmp_path / "campaigns")
    printed = run_bash(command, tmp_path, where=sentence)
    missing = not_printed(numbers, printed)
    assert not missing, f"{sentence}\nstates {missing}, but {command} printed\n{printed}"


def test_a_number_that_is_not_printed_is_found():
    page = "One. `hullscout run campaigns/a.toml` finds it with 42 of 58 calculations. Another with 46."
    ((command, _, numbers),) = stated(page)
    assert (command, numbers) == ("hullscout run campaigns/a.toml", ["42", "58"])
    assert not_printed(numbers, "Looked up 36 of 58 candidates: 42.1 % saved.") == ["42"]


def test_there_are_such_sentences():
    assert CASES
