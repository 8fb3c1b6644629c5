"""A campaign file to begin with: what is often changed, each line with what it says."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

from hullscout.errors import InvalidCampaignError

if TYPE_CHECKING:
    from collections.abc import Sequence


@dataclass(frozen=True, slots=True, kw_only=True)
class Starter:
    """How the energies of a new campaign come about.

    Attributes:
        shows: It in a few words.
        oracle: The section `[oracle]`, and `[executor]` where there is one.
        only: Elements that it knows; all where this is empty.
        package: Python package that it needs beside Hullscout, which the extra of the starter's name installs.
        next: The command that goes on, with the campaign file in place of `{file}`.
    """

    shows: str
    oracle: str
    only: tuple[str, ...] = ()
    package: str = ""
    next: str = "hullscout run {file}"


_RELAXED = """relax = "cell-and-positions"       # or "volume-and-positions", "volume-only", "positions", "none"
fmax = 0.02                        # eV/Angstrom, where a relaxation is at its end
"""
_EXECUTOR = """
[executor]
workers = 1                        # calculations at a time
flow = "rounds"                    # await whole rounds: the result does not depend on which answer comes first
"""
STARTERS = {
    "emt": Starter(
        shows="ASE's effective medium theory: seconds, and no DFT",
        oracle=f"""[oracle]
kind = "calculator"
calculator = "emt"                 # to try everything; not to be believed
{_RELAXED}{_EXECUTOR}""",
        only=("Al", "Ni", "Cu", "Pd", "Ag", "Pt", "Au"),
    ),
    "gpaw": Starter(
        shows="DFT by GPAW, PBE with plane waves",
        oracle=f"""[oracle]
kind = "calculator"
calculator = "gpaw"
{_RELAXED}
[oracle.arguments]                 # what ASE's calculator GPAW is called with; converge these for your elements
mode = {{ name = "pw", ecut = 400 }}
xc = "PBE"
kpts = {{ density = 5.0, gamma = true }}
occupations = {{ name = "fermi-dirac", width = 0.1 }}
{_EXECUTOR}time_limit_s = 14400               # a calculation that runs longer is ended
""",
        package="gpaw",
    ),
    "diep": Starter(
        shows="a universal potential in seconds, by the extra diep",
        oracle=f"""[oracle]
kind = "calculator"
calculator = "diep.pretrained.make_calculator"    # fitted to MatPES, r2SCAN; see the guide's page on potentials as prior
{_RELAXED}{_EXECUTOR}""",
        package="diep",
    ),
    "handoff": Starter(
        shows="files for VASP or any code that runs elsewhere",
        oracle="""[oracle]
kind = "handoff"                   # `hullscout ask` hands structures out, `hullscout tell` takes results back
# fmax = 0.05                      # largest force of a result, eV/Angstrom; by default the criterion of its code
""",
        next="hullscout ask {file} -n 8 --to outbox/",
    ),
}
"""The ways by name; another one is one more line."""

LEFT_OUT = "leave_out_faults = true            # what cannot be used is left out, and said\n"


def starting_text(
    elements: Sequence[str],
    *,
    pool: str,
    starter: str,
    name: str | None = None,
    made_by: str = "hullscout new",
    leaves_out_faults: bool = False,
) -> str:
    """A campaign file for a pool, with comments; `InvalidCampaignError` where the energies cannot come about so.

    Args:
        pool: Of the candidates, relative to the file.
        starter: One of `STARTERS`.
        name: Of the campaign; its elements if not given.
        made_by: The command that made it.
        leaves_out_faults: Whether it says that what cannot be used is left out of the pool.
    """
    chosen = STARTERS[starter]
    foreign = [symbol for symbol in elements if chosen.only and symbol not in chosen.only]
    if foreign:
        raise InvalidCampaignError(
            f"--calculator {starter}: expected elements that it knows ({', '.join(chosen.only)}), found {', '.join(foreign)}. "
            f"Choose another: {', '.join(each for each in STARTERS if each != starter)}."
        )
    title, left_out = "-".join(elements), LEFT_OUT if leaves_out_faults else ""
    return f"""# {title}. Made by `{made_by}`.
# Any setting may be changed until there is an answer, and some later: see the guide's page on the campaign file.

name = {json.dumps(name or title)}
elements = {json.dumps(list(elements))}  # x: atomic fractions of those after the first
seed = 0

[pool]
path = {json.dumps(pool)}
{left_out}# known = ["results/"]             # energies of elsewhere: folders of campaigns, pools; the pool's own are known

{chosen.oracle}
[stop]
hull_tolerance = 0.001             # eV/atom that a hull may be too high and count as found
failure_probability = 0.05         # accepted probability that it is not found
# max_calculations = 200           # a limit, beside that
"""
