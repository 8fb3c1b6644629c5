"""What a person should know of a campaign: before anything is calculated, of its enumerated cells, of its stated probability."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hullscout.pool.enumeration import follows_vegard

if TYPE_CHECKING:
    from collections.abc import Iterator

    from hullscout.campaign.config import CampaignConfig
    from hullscout.campaign.setup import Setup

JUDGED = (
    "select",
    "stop.hull_tolerance",
    "representation",
    "regression",
    "cost",
    "prior",
    "pool.cost",
    "pool.baseline",
)
"""Settings, and whole sections, under whose defaults stated probabilities were observed. The batch is not among them where it is
what is calculated at the same time."""


def cautions(setup: Setup) -> tuple[str, ...]:
    """What is to be known before anything is calculated, in sentences."""
    config = setup.config
    rule, n_elements = config.select, len(config.elements)
    said = list(rule.cautions(config.stop, n_candidates=len(setup.pool)))
    if rule.states_probability and (others := other_settings(config)):
        said.append(
            f"Stated probabilities were observed with the default settings; another one here: {', '.join(others)}. How often the "
            "hull is wrong then was not observed."
        )
    if n_elements > 2 and rule.states_probability:
        said.append(
            f"{n_elements} elements: the constants behind stated probabilities were fitted to alloys of two. Here each two "
            "elements count as such an alloy, and what holds more as another; that was held against few alloys of three."
        )
    return tuple(said)


def other_settings(config: CampaignConfig) -> tuple[str, ...]:
    """Names of settings that are not those under which stated probabilities were observed."""
    return tuple(name for part in JUDGED for name in _different(config, *part.split(".")))


def _different(config: CampaignConfig, section: str, key: str = "") -> Iterator[str]:
    mine = getattr(config, section)
    for name, field in type(mine).model_fields.items():
        if key in {"", name} and getattr(mine, name) != field.get_default(call_default_factory=True):
            yield f"{section}.{name}"


def warnings(setup: Setup) -> tuple[str, ...]:
    """What is to be seen to before anything is computed, in sentences."""
    relax = getattr(setup.config.oracle, "relax", "")
    if relax != "none" or not follows_vegard(setup.pool.candidates, setup.pool.fractions):
        return ()
    said = 'Volumes follow Vegard\'s law, as those of enumerated cells do: they are guesses, which oracle.relax = "none" keeps.'
    return (f"{said} The other kinds of relaxation find better ones.",)


def meaning(setup: Setup) -> dict[str, Any] | None:
    """What the stated probability means, and what is to be said of it in this campaign; None where the rule states none."""
    found = setup.config.select.meaning()
    if found is None:
        return None
    others = list(other_settings(setup.config))
    return {**found, "settings_are_defaults": not others, "other_settings": others, "cautions": list(cautions(setup))}
