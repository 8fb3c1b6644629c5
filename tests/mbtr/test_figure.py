"""The figure of pairs, angles and their derivatives, in the manner of figure 1 of Huo & Rupp (2022)."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from matplotlib.image import imread

SCRIPT = Path(__file__).parents[1] / "benchmarks" / "mbtr_figure.py"


@pytest.mark.slow
def test_the_figure_is_drawn_as_the_readme_shows_it(tmp_path):
    out = tmp_path / "mbtr.png"
    subprocess.run([sys.executable, SCRIPT, "--out", out], check=True, capture_output=True)
    drawn, shown = imread(out), imread(SCRIPT.with_name("mbtr.png"))
    assert drawn.shape == shown.shape
    assert np.mean(np.abs(drawn - shown)) < 0.01  # fonts differ
    assert np.mean(drawn[..., :3].min(axis=2) < 0.9) > 0.03  # not empty
