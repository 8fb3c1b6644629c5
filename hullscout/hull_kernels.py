"""The compiled chain of a lower hull over one fraction: plain arrays in and out."""

from hullscout.compiling import njit


@njit(cache=True, nogil=True)
def chain_of(x, e, tolerance, chain):  # type: ignore[no-untyped-def]
    """Write the vertices of the lower hull of points in ascending x into `chain` and return their number.

    Of several points at one composition the lowest counts, the first one if they are equal. A vertex lies below the line
    through its neighbours by more than the tolerance.
    """
    size, i, n = 0, 0, x.size
    while i < n:
        lowest = i
        i += 1
        while i < n and x[i] == x[lowest]:
            if e[i] < e[lowest]:
                lowest = i
            i += 1
        while size > 1:
            a, b = chain[size - 2], chain[size - 1]
            if e[a] + (e[lowest] - e[a]) * (x[b] - x[a]) / (x[lowest] - x[a]) - e[b] > tolerance:
                break
            size -= 1
        chain[size] = lowest
        size += 1
    return size
