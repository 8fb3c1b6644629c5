"""When hyperparameters are searched, from where, and when they are kept."""

import numpy as np
import pytest
from pydantic import ValidationError

from hullscout.regression import SearchPoint, WarmStart
from hullscout.selection import Decision, Surrogate, SurrogateSettings

BLOCKS, X = {"all": np.array([[0.0], [1.0], [2.0]])}, np.array([0.0, 0.5, 1.0])


def point(number):
    return SearchPoint(representation="features", log_lengths=(float(number),), log_weights=(0.0,))


def decisions(*sizes, without=()):
    """A start of ten, then rounds of these sizes, each with its best setting but those named."""
    return (
        Decision(chosen=tuple(range(10))),
        *(
            Decision(
                chosen=tuple(range(size)),
                n_contenders=1,
                warm_starts={} if number in without else {"cap": point(number)},
            )
            for number, size in enumerate(sizes, start=1)
        ),
    )


def schedule(history, **settings):
    """What each decision does: search from nothing, go on searching, or keep."""
    surrogate = Surrogate(BLOCKS, x=X, settings=SurrogateSettings(**settings))
    found = [surrogate.warm_start("cap", history[:n]) for n in range(1, len(history) + 1)]
    return " ".join("nothing" if start is None else "search" if start.is_searched else "keep" for start in found)


def test_it_searches_when_a_fifth_is_new_and_from_nothing_when_half_is():
    # Asked for:    10      12     14   16     18   20      22   24     26   28   30     32   34
    expected = "nothing search keep search keep nothing keep search keep keep search keep keep"
    assert schedule(decisions(*[2] * 12)) == expected


def test_it_can_search_in_every_round():
    assert schedule(decisions(2, 2, 2, 4, 2), search_growth=1.0) == "nothing search search search nothing search"
    with pytest.raises(ValidationError, match="greater than or equal to 1"):
        SurrogateSettings(search_growth=0.9)


def test_a_round_without_a_model_is_followed_by_a_search_from_nothing():
    assert schedule(decisions(1, 1, 1, 1, without=(2,))) == "nothing keep nothing keep keep"


def test_it_starts_from_what_the_last_round_found():
    history = decisions(2, 1)
    assert Surrogate(BLOCKS, x=X).warm_start("cap", history) == WarmStart(point=point(2), is_searched=False)
    assert Surrogate(BLOCKS, x=X).warm_start("another model", history) is None
