"""Find the ground-state convex hull of a binary alloy with few DFT calculations, and say how sure it is.

The rooms: `pool` (candidates), `mbtr` (representation), `regression` (kernel models), `hull`, `selection` (what to compute
next, and when to stop), `oracle` (where energies come from), `campaign` (the loop and its store), `figures`, `cli`.
Importing this package loads none of them.
"""

__version__ = "0.1.0"
