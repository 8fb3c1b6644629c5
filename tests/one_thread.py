"""One thread of linear algebra, imported before NumPy: tests share the cores, and threads that wait for each other there make small
systems six times as slow."""

import os

for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(variable, "1")
