"""Threads of the linear algebra: a usual pool is faster with one, by far where the cores have other work.

And the last bit of a sum of products depends on how it was shared out: a campaign resumed with another number of threads would not
end in the same bytes.
"""

from __future__ import annotations

from contextlib import nullcontext
from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from threadpoolctl import ThreadpoolController

# From so many candidates on, matrices are large enough for threads to pay.
MANY_CANDIDATES = 10_000


def fitting_threads(n_candidates: int) -> AbstractContextManager[object]:
    """One BLAS thread while the context lasts, for a pool that is not large; else as many as the machine gives."""
    return nullcontext() if n_candidates >= MANY_CANDIDATES else _controller().limit(limits=1, user_api="blas")


@cache
def _controller() -> ThreadpoolController:
    import scipy.linalg  # noqa: F401, PLC0415  its BLAS has to be there to be found
    from threadpoolctl import ThreadpoolController  # noqa: PLC0415

    return ThreadpoolController()
