"""When a campaign may stop, and what counts as the right hull."""

from pydantic import Field, PositiveFloat, PositiveInt

from hullscout.settings import Settings


class StopSettings(Settings):
    """When to stop, and what counts as the right hull."""

    hull_tolerance: PositiveFloat = 0.001
    """A hull nowhere higher than this above the true one counts as found, eV/atom."""
    failure_probability: float = Field(default=0.05, gt=0, lt=1)
    """Accepted probability of a hull that is not found; used by rules that state one."""
    max_calculations: PositiveInt | None = None
    """Never look up more structures than this."""
    max_cost: PositiveFloat | None = None
    """Never spend more than this, in the unit of the costs (section `cost`)."""
