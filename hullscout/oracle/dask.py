"""Calculations on Dask: a local cluster, one that runs already, or one that Dask starts on a queueing system."""

from __future__ import annotations

from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any

from hullscout.errors import OracleError
from hullscout.oracle.calculator import resolve

if TYPE_CHECKING:
    from collections.abc import Iterator
    from concurrent.futures import Executor

    from hullscout.oracle.settings import DaskSettings

CONNECT_TIMEOUT_S = 30


@contextmanager
def open_dask(settings: DaskSettings) -> Iterator[tuple[Executor, int]]:
    """An executor on Dask, and how many calculations it takes at a time; a cluster that was started here ends on leaving.

    Raises:
        OracleError: Dask is not installed, or the cluster cannot be made or reached.
    """
    try:
        import dask  # noqa: PLC0415  an extra
        from distributed import Client, LocalCluster  # noqa: PLC0415
    except ImportError as error:
        raise OracleError(
            f"executor.kind: 'dask' needs the packages of `pip install 'hullscout[dask]'`: {error}."
        ) from error
    with ExitStack() as stack:
        # A worker that dies is told at once instead of after three deaths: the campaign counts the tries itself.
        stack.enter_context(dask.config.set({"distributed.scheduler.allowed-failures": 0}))
        try:
            cluster: Any = settings.address
            if settings.cluster is not None:
                cluster = stack.enter_context(resolve(settings.cluster)(**settings.options))
                cluster.scale(settings.workers)
            elif cluster is None:
                cluster = stack.enter_context(
                    LocalCluster(
                        n_workers=settings.workers, threads_per_worker=1, processes=True, dashboard_address=":0"
                    )
                )
            client = stack.enter_context(Client(cluster, timeout=CONNECT_TIMEOUT_S))
        except Exception as error:
            where = settings.address or settings.cluster or "a local cluster"
            raise OracleError(
                f"executor: {where} cannot be used as Dask cluster: {type(error).__name__}: {error}"
            ) from error
        stack.callback(client.cancel, [], force=True)
        yield client.get_executor(), settings.workers
