"""An executor whose machine is lost after four calculations."""

from concurrent.futures import BrokenExecutor, Executor, Future


class BreaksAfterFour(Executor):
    n_taken = 0

    def submit(self, fn, /, *args, **kwargs):
        future = Future()
        if self.n_taken > 4:  # the probe of the calculator is the first
            future.set_exception(BrokenExecutor("node lost"))
        else:
            future.set_result(fn(*args, **kwargs))
        self.n_taken += 1
        return future

    def shutdown(self, wait=True, *, cancel_futures=False):  # noqa: FBT002  the interface
        pass
