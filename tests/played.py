"""Campaigns that are played to their end, or up to some number of answers."""

from hullscout.campaign import Setup, read_origin, run

POSTERIOR = (
    "select={rule = 'hull-posterior', samples = 200, batch = 3, energy_cap = 0.5}",
    "stop.failure_probability=0.03",
)


class StoppedError(Exception):
    pass


def play(campaign_file, out, *settings, until=None):
    def stop(known):
        if until is not None and known.n_answered >= until:
            raise StoppedError

    try:
        return run(Setup(read_origin(campaign_file, [*POSTERIOR, *settings])), out, on_progress=stop)
    except StoppedError:
        return None
