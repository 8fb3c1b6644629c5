"""`python -m hullscout` is the command `hullscout`."""

from hullscout.cli import main

main(prog_name="hullscout")
