"""What replays are played on, sent to Dask workers: once to each, also to those that join later. Needs the extra `dask`."""

from __future__ import annotations

import uuid
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING

from distributed import Worker, WorkerPlugin, get_client
from threadpoolctl import threadpool_limits

from hullscout.planning.replay import play

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from hullscout.planning.path import Path
    from hullscout.planning.replay import Ground
    from hullscout.planning.workers import Job

# Of this worker, by plan: a cluster that runs for long may serve several.
_GROUNDS: dict[str, Mapping[str, Ground]] = {}


class Grounds(WorkerPlugin):
    """Settles a worker: the grounds of a plan at hand, one thread of linear algebra until the plan ends."""

    def __init__(self, plan: str, grounds: Mapping[str, Ground]) -> None:
        self._plan = plan
        self._grounds = grounds
        self._limits: threadpool_limits | None = None

    def setup(self, worker: Worker) -> None:  # noqa: ARG002  the interface of plugins
        """Settle it."""
        self._limits = threadpool_limits(1)
        _GROUNDS[self._plan] = self._grounds

    def teardown(self, worker: Worker) -> None:  # noqa: ARG002  the interface of plugins
        """Leave it as it was."""
        _GROUNDS.pop(self._plan, None)
        if self._limits is not None:
            self._limits.restore_original_limits()


def play_settled(plan: str, job: Job) -> Path:
    """Play a job of a plan in a worker that was settled."""
    return play(_GROUNDS[plan][job.ground], job.config, seed=job.key.seed)


@contextmanager
def settled(grounds: Mapping[str, Ground]) -> Iterator[tuple[Callable[[Job], Path], int]]:
    """Settle the workers of the Dask client that is open; what plays a job there, and how many threads there are now."""
    client, plan = get_client(), uuid.uuid4().hex
    client.register_plugin(Grounds(plan, dict(grounds)), name=plan)
    try:
        yield partial(play_settled, plan), sum(client.nthreads().values())
    finally:
        client.unregister_worker_plugin(name=plan)
