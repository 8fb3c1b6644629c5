"""EMT that misbehaves once its energy is there, in every way that the modules beside this one know."""

import misbehaving_answers  # noqa: F401
import misbehaving_processes  # noqa: F401
import misbehaving_surroundings  # noqa: F401
from misbehaving import ENDS, NOT_HERE, WAYS, Misbehaves

__all__ = ["ENDS", "NOT_HERE", "WAYS", "Misbehaves"]
