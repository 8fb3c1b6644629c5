"""Where energies come from: an oracle answers `lookup(candidate_id)` with a total energy in eV per cell."""

from hullscout.oracle.table import TableOracle, TwinConflict

__all__ = ["TableOracle", "TwinConflict"]
