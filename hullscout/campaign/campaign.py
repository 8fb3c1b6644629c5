"""A campaign in a notebook: run one or open its folder, then look at results as objects, tables and figures.

It decides nothing and keeps nothing: everything is read from the folder, and read again by `Campaign(folder)`.
"""

from __future__ import annotations

from dataclasses import asdict
from functools import cached_property
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from hullscout.campaign.exports import candidate_rows, computed_entries
from hullscout.campaign.history import Forecaster, read_history
from hullscout.campaign.result import HullVertex, hull_vertices
from hullscout.errors import InvalidCampaignError, InvalidSettingError
from hullscout.hull import phase_diagram_of

if TYPE_CHECKING:
    from collections.abc import Iterable

    import pandas as pd
    from matplotlib.axes import Axes

    from hullscout.campaign.history import History, Outlook
    from hullscout.campaign.result import CampaignResult

MILLI = 1000.0


class Campaign:
    """What the campaign in a folder has found so far, finished or not.

    Args:
        folder: The output folder of a run.

    Raises:
        StoreError: There is no campaign, it is damaged, or it has no hull yet.
    """

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder)
        self.history: History = read_history(self.folder)

    @classmethod
    def run(
        cls, campaign_file: str | Path, out: str | Path, *, settings: Iterable[str] = (), seed: int | None = None
    ) -> Self:
        """Run a campaign file to its end in the folder `out`, or resume the one that is there; as `hullscout run` does.

        Args:
            campaign_file: The TOML file.
            out: Output folder; made where there is none.
            settings: Settings to replace, as `section.key=value`.
            seed: Instead of the file's.

        Raises:
            InvalidCampaignError: The campaign file is not valid, or hands structures out.
        """
        from hullscout.campaign import runner  # noqa: PLC0415  the runner knows the figures

        origin = runner.read_origin(Path(campaign_file), settings, seed=seed)
        if origin.config.oracle.kind == "handoff":
            raise InvalidCampaignError(
                'oracle.kind: expected "table" or "calculator", found "handoff", whose energies come by hand. Use the commands '
                "`hullscout run`, `ask` and `tell`, and open the folder by Campaign(folder)."
            )
        pool, oracle = runner.open_pool(origin)
        result, standing = runner.run(origin, Path(out), pool=pool, oracle=oracle)
        runner.save(Path(out), result, standing)
        return cls(out)

    @property
    def result(self) -> CampaignResult | None:
        """What `result.json` says; None while the campaign is not finished."""
        return self.history.result

    @cached_property
    def hull(self) -> tuple[HullVertex, ...]:
        """The ground states found, by ascending x."""
        return hull_vertices(self.history.now.standing)

    @cached_property
    def outlook(self) -> Outlook | None:
        """What the model believes now; computed at the first use. None where nothing is left to ask or could be learned."""
        return Forecaster(self.history).at(self.history.now)

    def candidates(self) -> pd.DataFrame:
        """All candidates by id: what is known and believed of each; see `CandidateRow`."""
        import pandas as pd  # noqa: PLC0415  slow to import

        return pd.DataFrame([asdict(row) for row in candidate_rows(self.history, self.outlook)]).set_index("id")

    def rounds(self) -> pd.DataFrame:
        """The moments of the campaign by number of calculations: hull error, model error and probabilities, eV/atom."""
        import pandas as pd  # noqa: PLC0415  slow to import

        return pd.DataFrame(
            {
                "n_calculations": moment.n_known,
                "hull_error_ev_per_atom": moment.standing.hull_error_ev_per_atom,
                "model_error_ev_per_atom": moment.model_error_ev_per_atom,
                "failure_probability": moment.failure_probability,
                "stated_failure_probability": moment.stated_failure_probability,
            }
            for moment in self.history.moments
        ).set_index("n_calculations")

    def entries(self) -> list[Any]:
        """What was calculated, as pymatgen's `ComputedStructureEntry`."""
        return computed_entries(self.history)

    def phase_diagram(self) -> Any:
        """The phase diagram of what was calculated, pymatgen's."""
        return phase_diagram_of(self.entries())

    def plot_hull(self, ax: Axes | None = None, *, has_lattices: bool = False) -> Axes:
        """Draw the phase diagram, with what the model still believes possible."""
        from hullscout.figures.phase_diagram import draw_phase_diagram  # noqa: PLC0415  loads matplotlib

        return draw_phase_diagram(_axes(ax), self.history.now.standing, outlook=self.outlook, has_lattices=has_lattices)

    def plot_distance(self, ax: Axes | None = None) -> Axes:
        """Draw the distance of every candidate to the hull."""
        from hullscout.figures.distance import draw_hull_distance  # noqa: PLC0415

        tolerance = self.history.config.stop.hull_tolerance
        return draw_hull_distance(
            _axes(ax), self.history.now.standing, outlook=self.outlook, tolerance_ev_per_atom=tolerance
        )

    def plot_errors(self, ax: Axes | None = None) -> Axes:
        """Draw hull error and model error by calculations."""
        from hullscout.figures.progress import draw_errors  # noqa: PLC0415

        return draw_errors(_axes(ax), self.history)

    def plot_failure_probability(self, ax: Axes | None = None) -> Axes:
        """Draw the stated probability of a wrong hull by calculations."""
        from hullscout.figures.progress import draw_failure_probability  # noqa: PLC0415

        return draw_failure_probability(_axes(ax), self.history)

    def plot_parity(self, ax: Axes | None = None) -> Axes:
        """Draw predicted against true energies."""
        from hullscout.figures.parity import draw_parity  # noqa: PLC0415

        return draw_parity(_axes(ax), self.history.now.standing, self._needed_outlook())

    def plot_calibration(self, ax: Axes | None = None) -> Axes:
        """Draw the share of energies inside the stated intervals."""
        from hullscout.figures.parity import draw_calibration  # noqa: PLC0415

        return draw_calibration(_axes(ax), self.history.now.standing, self._needed_outlook())

    def __repr__(self) -> str:
        return f"Campaign({str(self.folder)!r}): {self._sentence()}"

    def _repr_html_(self) -> str:
        cells = "".join(
            f"<tr><td>{escape(vertex.formula)}</td><td>{vertex.x:.4f}</td>"
            f"<td>{vertex.formation_energy_ev_per_atom * MILLI:.1f}</td><td>{escape(vertex.id)}</td></tr>"
            for vertex in self.hull
        )
        second = escape(self.history.pool.elements[1])
        head = f"<tr><th>formula</th><th>x ({second})</th><th>formation energy (meV/atom)</th><th>id</th></tr>"
        return f"<p>{escape(self._sentence())}</p><table><thead>{head}</thead><tbody>{cells}</tbody></table>"

    def _sentence(self) -> str:
        standing = self.history.now.standing
        known = f"{standing.name}: {standing.n_known} of {standing.n_candidates} candidates calculated"
        end = "not finished." if self.result is None else self.result.stop_sentence
        return f"{known}; {end}"

    def _needed_outlook(self) -> Outlook:
        if self.outlook is None:
            standing = self.history.now.standing
            raise InvalidSettingError(
                "Expected something to predict and three or more energies that differ, found "
                f"{standing.n_known} of {standing.n_candidates} known. Draw another figure."
            )
        return self.outlook


def _axes(ax: Axes | None) -> Axes:
    if ax is not None:
        return ax
    from hullscout.figures.style import new_axes  # noqa: PLC0415  loads matplotlib

    return new_axes()
