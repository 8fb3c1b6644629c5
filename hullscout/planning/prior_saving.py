"""What a pool's baseline saves, from replays with and without it from the same seeds."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import numpy as np

from hullscout.display import PERCENT
from hullscout.planning.rates import CONFIDENCE, mean_interval

if TYPE_CHECKING:
    from hullscout.planning.grid import Setting
    from hullscout.planning.planner import Plan


def savings_of(plan: Plan) -> tuple[str, ...]:
    """A sentence for every campaign and setting that was replayed with its baseline and without it."""
    by_setting = {_key(one.setting): one for one in plan.played}
    sentences = []
    for one in plan.played:
        config = one.setting.config
        without = by_setting.get(_key(one.setting.without_prior))
        if config.pool.baseline is None or without is None:
            continue
        saved = np.array(without.n_calculations) - np.array(one.n_calculations)
        names = config.pool.baseline
        column = names if isinstance(names, str) else ", ".join(names)
        label = "".join(f", {key} = {value}" for key, value in one.setting.varied.items())
        low, high = mean_interval(saved, confidence=CONFIDENCE)
        wrong = [PERCENT * (1.0 - float(np.mean(those.are_right))) for those in (one, without)]
        means = [float(np.mean(those.n_calculations)) for those in (one, without)]
        sentences.append(
            f"{config.name}{label}: the prior ({column}) is expected to save {saved.mean():.1f} calculations "
            f"({PERCENT * CONFIDENCE:g} % interval {low:.1f} to {high:.1f}): {means[0]:.1f} with it, {means[1]:.1f} without; "
            f"{wrong[0]:.1f} and {wrong[1]:.1f} % of the replays wrong."
        )
    return tuple(sentences)


def _key(setting: Setting) -> str:
    return json.dumps([setting.config.name, setting.varied], sort_keys=True)
