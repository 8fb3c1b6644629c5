"""Every error that Hullscout raises on purpose: one root, a few leaves named for the fact; and what it warns of.

A message says what was expected, what was found and what to do. The command line prints it and exits with code 2.
"""


class HullscoutError(Exception):
    """Something is wrong with what was given, or with what is on disk."""


class InvalidCampaignError(HullscoutError):
    """A campaign file, or a value set on the command line, is not valid."""


class InvalidPoolError(HullscoutError):
    """A pool of candidates holds something that no campaign can use."""


class InvalidStructureError(HullscoutError):
    """A structure cannot be represented: foreign element, coinciding atoms, singular cell."""


class InvalidSettingError(HullscoutError, ValueError):
    """A setting of a service is impossible; raised at construction or at the first use, before any cost."""


class InvalidTrainingSetError(HullscoutError, ValueError):
    """Labels or features cannot be learned from: too few, not finite, of different lengths."""


class OracleError(HullscoutError):
    """An energy was asked for that the oracle cannot give."""


class ResultError(HullscoutError):
    """A result of a calculation that ran elsewhere cannot be read, or is of another structure."""


class ProtocolError(HullscoutError):
    """The engine was told something that it did not ask for, or that contradicts what it knows."""


class OutputError(HullscoutError):
    """A figure or result cannot be written where it should go."""


class StoreError(HullscoutError):
    """A campaign's folder or database cannot be used: of another campaign, corrupted, or held by another process."""


class UnsafeFileError(HullscoutError):
    """What came from outside is no regular file, has no end, unpacks to too much, or asks for something to be run."""


class MissingPackageError(HullscoutError):
    """A feature needs a package that is not installed; it comes with one of Hullscout's extras."""


class InvalidPlanError(HullscoutError):
    """A plan cannot be made from what was given: no replicates, conflicting settings, no energies to replay."""


class WorkersLostError(HullscoutError):
    """Workers were lost with what they were doing; what was finished before is kept."""


class FigureWarning(UserWarning):
    """A figure cannot show something as it is meant."""
