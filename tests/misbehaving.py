"""The table of ways in which a calculator misbehaves, and what is to come of each: other modules fill it.

`WAYS` maps a name to what is done and to what is expected: a reason of failure, or none where the energy counts. `ENDS` are those
that end a campaign that calculates in its own process, and `NOT_HERE` those that would end whoever started it.
"""

from ase.calculators.emt import EMT

WAYS = {}
ENDS = set()
NOT_HERE = set()
ENERGY, RAISED, NO_NUMBER, CHANGED = None, "raised", "not-finite", "changed"
DIED, LATE = "worker-died", "timed-out"


def way(expected, *, ends=False, not_here=False, relax="none"):
    def note(function):
        WAYS[function.__name__] = (function, expected, relax)
        ENDS.update({function.__name__} if ends else ())
        NOT_HERE.update({function.__name__} if not_here else ())
        return function

    return note


class Misbehaves(EMT):
    def __init__(self, how):
        super().__init__()
        self.how = how

    def calculate(self, atoms=None, *args, **kwargs):
        super().calculate(atoms, *args, **kwargs)
        WAYS[self.how][0](self, atoms)
