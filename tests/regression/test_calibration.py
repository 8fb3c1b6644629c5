"""Scale and tails make stated intervals true; diagnostics say whether they are."""

import numpy as np
import pytest

from hullscout.errors import InvalidSettingError, InvalidTrainingSetError
from hullscout.regression import (
    KernelModel,
    TailCalibration,
    calibrate,
    coverage,
    diagnose,
    normal_scores,
    plot_calibration,
)


@pytest.mark.parametrize(("nu", "factor"), [(4.0, 1.0), (np.inf, 2.5), (np.inf, 0.3)])
def test_calibrated_intervals_cover_what_they_say(nu, factor):
    rng = np.random.default_rng(0)
    draw = rng.standard_normal if np.isinf(nu) else lambda n: rng.standard_t(nu, n)
    found = calibrate(factor * draw(2000))
    fresh = factor * draw(20_000)
    for level in (0.5, 0.8, 0.95):
        assert np.mean(np.abs(fresh) <= found.half_width(level)) == pytest.approx(level, abs=0.025)


def test_heavier_tails_are_recognized():
    rng = np.random.default_rng(1)
    assert calibrate(rng.standard_t(3, 500)).degrees_of_freedom < calibrate(rng.normal(size=500)).degrees_of_freedom


def test_few_labels_never_claim_gaussian_tails_and_tuning_widens():
    z = np.random.default_rng(2).normal(size=15)
    assert calibrate(z).degrees_of_freedom < 20.0
    assert calibrate(z, n_tuned=5).scale > 1.2 * calibrate(z).scale


def test_scale_is_equivariant_and_sign_free():
    z = np.random.default_rng(3).normal(size=80)
    assert calibrate(3.0 * z).scale == pytest.approx(3.0 * calibrate(z).scale)
    assert calibrate(-z) == calibrate(z)


def test_half_widths_are_those_of_the_normal_distribution():
    assert TailCalibration(scale=2.0).half_width(0.95) == pytest.approx(2.0 * 1.959964, abs=1e-5)


@pytest.mark.parametrize("n", [50, 100])
def test_intervals_cover_on_the_alloy(alloy, n):
    X, y, _, blocks = alloy
    coverage = []
    for split in range(10):
        order = np.random.default_rng([split, n]).permutation(len(y))
        model = KernelModel(blocks=blocks).fit(X[order[:n]], y[order[:n]])
        mean, std = model.predict(X[order[n:]], return_std=True)
        report = diagnose(y[order[n:]] - mean, std, degrees_of_freedom=model.fitted_.calibration.degrees_of_freedom)
        coverage.append(report.coverage)
    half, most, nearly_all = np.mean(coverage, axis=0)
    assert 0.4 < half < 0.65
    assert 0.7 < most < 0.9
    assert 0.92 < nearly_all < 0.99


def test_diagnosis_of_honest_and_of_overconfident_deviations():
    residuals = np.random.default_rng(4).normal(size=5000)
    honest, bold = diagnose(residuals, np.ones(5000)), diagnose(residuals, np.full(5000, 0.5))
    assert honest.coverage == pytest.approx((0.5, 0.8, 0.95), abs=0.02)
    assert honest.expected_calibration_error < 0.02
    assert bold.expected_calibration_error > 0.15
    assert honest.z_counts.sum() == 5000
    assert honest.rmse == bold.rmse
    assert honest.log_score > bold.log_score


@pytest.mark.parametrize(
    ("residuals", "std", "message"),
    [
        (np.zeros(3), np.ones(2), "as many residuals as deviations"),
        (np.zeros(0), np.ones(0), "as many residuals as deviations"),
        (np.zeros(2), np.array([1.0, 0.0]), "positive standard deviations"),
    ],
)
def test_diagnosis_refuses_what_it_cannot_compare(residuals, std, message):
    with pytest.raises(InvalidTrainingSetError, match=message):
        diagnose(residuals, std)


def test_coverage_counts_what_lies_inside_each_interval():
    z = np.array([-0.1, 0.5, -1.0, 2.0])
    assert coverage(z, (0.5, 0.8, 0.99)).tolist() == [0.5, 0.75, 1.0]
    assert coverage(z, (0.8,), degrees_of_freedom=1.0).tolist() == [1.0]


def test_normal_scores_of_student_t_are_normal():
    z = np.random.default_rng(5).standard_t(4, 20_000)
    scores = normal_scores(z, degrees_of_freedom=4.0)
    assert np.std(scores) == pytest.approx(1.0, abs=0.02)
    assert np.mean(np.abs(scores) > 3.0) == pytest.approx(0.0027, abs=0.001)
    np.testing.assert_array_equal(np.argsort(scores), np.argsort(z))
    np.testing.assert_array_equal(normal_scores(z, degrees_of_freedom=np.inf), z)
    with pytest.raises(InvalidSettingError, match="positive degrees of freedom"):
        normal_scores(z, degrees_of_freedom=0.0)


def test_a_calibration_figure_shows_what_the_reports_say():
    residuals = np.random.default_rng(6).normal(size=400)
    levels = tuple(np.linspace(0.1, 0.9, 9))
    reports = {
        "honest": diagnose(residuals, np.ones(400), levels=levels),
        "bold": diagnose(residuals, np.full(400, 0.2), levels=levels),
    }
    axes = plot_calibration(reports, styles={"bold": {"color": "red"}})
    diagonal, honest, bold = axes.lines
    np.testing.assert_allclose(honest.get_xydata(), 100.0 * np.transpose([levels, reports["honest"].coverage]))
    assert bold.get_color() == "red"
    band = axes.collections[0].get_paths()[0].vertices
    width = [np.ptp(band[np.isclose(band[:, 0], 100.0 * level), 1]) for level in levels]
    assert np.all(np.abs(honest.get_ydata() - 100.0 * np.array(levels)) < width)
    assert np.all(bold.get_ydata() < 100.0 * np.array(levels) - width)
    assert diagonal.get_xydata().tolist() == [[0.0, 0.0], [100.0, 100.0]]
    texts = [text.get_text() for text in axes.get_legend().get_texts()]
    assert texts == ["honest model, 95 % range of 400 energies", "honest model, expected", "honest", "bold"]
    with pytest.raises(InvalidSettingError, match="one or more reports to draw"):
        plot_calibration({})
