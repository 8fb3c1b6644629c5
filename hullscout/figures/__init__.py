"""Figures of campaigns and plans, and the report; matplotlib loads when the first is drawn."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hullscout.campaign.result import RESULT
from hullscout.files import write_whole

if TYPE_CHECKING:
    from pathlib import Path

    from hullscout.campaign.result import CampaignResult
    from hullscout.selection import Known

FIGURE = "hull.png"


def save_result(folder: Path, result: CampaignResult, known: Known) -> None:
    """Write `hull.png` and then `result.json` into a campaign's folder, each whole or not at all.

    Args:
        folder: Of the campaign.
        result: Of the campaign at its end.
        known: What was known then.

    Raises:
        OutputError: One of them cannot be written.
    """
    from hullscout.figures.phase_diagram import save_phase_diagram  # noqa: PLC0415  loads matplotlib

    save_phase_diagram(folder / FIGURE, known)
    write_whole(folder / RESULT, result.to_json(), remedy="The energies are kept; run again.")
