"""Cuts extended XYZ text into frames."""

import itertools


def frames_of(text):
    """The frames of an extended XYZ text, each as its own text."""
    lines = iter(text.splitlines(keepends=True))
    return ["".join([count, *itertools.islice(lines, int(count) + 1)]) for count in lines]
