"""The code blocks of a Markdown page, and how they are run: in order, in one folder, as a reader would.

- `bash` runs under `bash -euo pipefail`, with the commands of this environment first on the path.
- `python` runs in one namespace per page; with `# name.py` as its first line it is that file instead.
- `toml` is checked as a campaign file; with `# name.toml` as its first line it is written, too.
- `text` right behind a block that ran is its output, with `...` for what differs from machine to machine.

A line above a block may say that it is not run, and why; see `NOT_RUN` and `ONLY_WHERE`.
"""

from __future__ import annotations

import contextlib
import doctest
import importlib.util
import io
import os
import re
import subprocess
import sys
import tomllib
from dataclasses import dataclass
from pathlib import Path

from markdown_it import MarkdownIt

from hullscout.campaign.config import check_config

NOT_RUN = re.compile(r"\*Not run by the tests(?: here)?: (.+)\.\*")
ONLY_WHERE = re.compile(r"\*Run by the tests only where (\w+) is installed\.\*")
CI_MARKER = re.compile(r"<!-- (run|test) -->\s*")
FILE_NAME = re.compile(r"# ([\w.-]+\.(?:py|toml))\n")
DIRECTIVES = ("{eval-rst}", "{toctree}")
CHECKER = doctest.OutputChecker()
FLAGS = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """A fenced block.

    Attributes:
        language: What stands behind the fence.
        code: Its lines.
        line: Where it begins in the page.
        reason: Why it is not run here; None where it is.
        output: What it must print; None where the page shows nothing.
    """

    language: str
    code: str
    line: int
    reason: str | None
    output: str | None


def read_blocks(text: str) -> list[Block]:
    """All blocks of a page but Sphinx directives, each with the output that the page shows behind it."""
    tokens = [token for token in MarkdownIt().parse(text) if token.type in {"fence", "inline", "html_block"}]
    blocks: list[Block] = []
    for before, token in zip([None, *tokens], tokens, strict=False):
        if token.type != "fence" or token.info in DIRECTIVES:
            continue
        reason = None if before is None else _reason(before.content.strip())
        is_output = token.info == "text" and blocks and blocks[-1].reason is None
        if is_output and blocks[-1].language in {"bash", "python"} and blocks[-1].output is None:
            last = blocks.pop()
            blocks.append(
                Block(language=last.language, code=last.code, line=last.line, reason=last.reason, output=token.content)
            )
        else:
            blocks.append(
                Block(language=token.info, code=token.content, line=token.map[0] + 1, reason=reason, output=None)
            )
    return blocks


def _reason(line: str) -> str | None:
    """Why the block below this line is not run, if it is not."""
    if CI_MARKER.fullmatch(line):
        return "continuous integration runs it as it is"
    if found := NOT_RUN.fullmatch(line):
        return found[1]
    if (found := ONLY_WHERE.fullmatch(line)) and importlib.util.find_spec(found[1].lower()) is None:
        return f"{found[1]} is not installed"
    return None


def run_page(text: str, folder: Path, *, name: str) -> int:
    """Run the blocks of a page in a folder, which is the current one; return how many ran.

    Raises:
        AssertionError: A block failed or printed something else, named by page and line.
    """
    namespace: dict[str, object] = {}
    n_run = 0
    for block in read_blocks(text):
        where = f"{name}, line {block.line}"
        if block.reason is not None:
            continue
        file_name = FILE_NAME.match(block.code)
        if file_name is not None:
            (folder / file_name[1]).write_text(block.code, encoding="utf-8")
        match block.language:
            case "toml":
                check_config(tomllib.loads(block.code), source=where)
                continue
            case "python" if file_name is None:
                printed = _run_python(block.code, namespace, where=where)
            case "bash":
                printed = run_bash(block.code, folder, where=where)
            case "python" | "text":
                continue
            case language:
                raise AssertionError(f"{where}: nothing is known of blocks of {language!r}")
        n_run += 1
        if block.output is not None and not CHECKER.check_output(block.output, printed, FLAGS):
            raise AssertionError(f"{where}: the page shows\n{block.output}\nbut this was printed:\n{printed}")
    return n_run


def _run_python(code: str, namespace: dict[str, object], *, where: str) -> str:
    with contextlib.redirect_stdout(io.StringIO()) as printed:
        exec(compile(code, where, "exec"), namespace)  # noqa: S102  that is what it is for
    return printed.getvalue()


def run_bash(code: str, folder: Path, *, where: str) -> str:
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", code],  # noqa: S607  whichever there is
        cwd=folder,
        # One thread, since pages run side by side; wide tables, since the page is not a terminal.
        env={**os.environ, "PATH": path, "MPLBACKEND": "Agg", "OMP_NUM_THREADS": "1", "COLUMNS": "160"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    if done.returncode:
        raise AssertionError(f"{where}: ended with {done.returncode}:\n{code}\n{done.stdout}")
    return done.stdout
