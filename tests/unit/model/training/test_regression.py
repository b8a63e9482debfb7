"""Numbers: what they are measured by, and what is drawn of them."""

from __future__ import annotations

import io

import numpy as np
import pytest
from sklearn.metrics import r2_score, root_mean_squared_error

from model.training.regression import Regression
from model.training.task import Curve

TASK = Regression()
RNG = np.random.default_rng(0)
PREDICTIONS = RNG.gamma(2, 10, 2_000).astype(np.float32)
OUTCOMES = PREDICTIONS + RNG.normal(0, 5, 2_000)
CURVES = [Curve("test (Nov to Dec)", OUTCOMES, PREDICTIONS), Curve("fit (Jan to Aug)", OUTCOMES, PREDICTIONS)]


def test_the_metrics_of_three_rows() -> None:
    """Each metric, by hand; the outcomes' standard deviation is 2."""
    metrics = TASK.evaluate([1, 1, 5.5, 4.5], [2, 1, 4.5, 4.5])
    spread = np.std([1, 1, 5.5, 4.5])
    assert metrics == pytest.approx(
        {
            "rmse": np.sqrt(2 / 4),
            "mae": 2 / 4,
            "mean_outcome": 3,
            "mean_prediction": 3,
            "r2": 1 - 0.5 / spread**2,
            "calibration_error": (1 + 0 + 1 + 0) / 4 / spread,  # every row is a bin of its own
        }
    )


def test_the_metrics_are_scikit_learns() -> None:
    """Where it has them."""
    metrics = TASK.evaluate(OUTCOMES, PREDICTIONS)
    assert metrics["rmse"] == pytest.approx(root_mean_squared_error(OUTCOMES, PREDICTIONS))
    assert metrics["r2"] == pytest.approx(r2_score(OUTCOMES, PREDICTIONS))


def test_a_calibration_error_has_no_unit() -> None:
    """Minutes or seconds, it is the same; and what is predicted too high by half a spread is off by that."""
    error = TASK.evaluate(OUTCOMES, PREDICTIONS)["calibration_error"]
    assert error < 0.05
    assert TASK.evaluate(OUTCOMES * 60, PREDICTIONS * 60)["calibration_error"] == pytest.approx(error)
    too_high = TASK.evaluate(OUTCOMES, PREDICTIONS + OUTCOMES.std() / 2)["calibration_error"]
    assert too_high == pytest.approx(0.5, abs=0.03)


def test_where_nothing_differs_there_is_no_spread_to_measure_in() -> None:
    """Never NaN; what models are compared by is there all the same. Of no rows there is nothing."""
    metrics = TASK.evaluate([2, 2], [2, 3])
    assert metrics["calibration_error"] == 0.5
    assert set(metrics) == {"rmse", "mae", "mean_outcome", "mean_prediction", "calibration_error"}
    with pytest.raises(ValueError, match="no rows"):
        TASK.evaluate([], [])


def test_the_rmse_of_many_weightings_is_scikit_learns() -> None:
    """The headline of each; of nothing there is none."""
    weights = RNG.poisson(1, (4, 2_000)).astype(float)
    expected = [root_mean_squared_error(OUTCOMES, PREDICTIONS, sample_weight=weighting) for weighting in weights]
    assert TASK.weighted_headline(OUTCOMES, PREDICTIONS, weights) == pytest.approx(expected)
    assert np.isnan(TASK.weighted_headline(OUTCOMES, PREDICTIONS, np.zeros((1, 2_000)))).all()


@pytest.mark.parametrize(
    ("outcomes", "told"),
    [([1.0, np.nan, np.inf], "2 outcomes that are no finite numbers"), ([3.0, 3.0], "2 rows have the same")],
)
def test_what_cannot_be_learnt_is_told(outcomes: list[float], told: str) -> None:
    """XGBoost would learn something of it all the same."""
    with pytest.raises(ValueError, match=told):
        TASK.check(np.array(outcomes))
    TASK.check(np.array([1.0, 2.0]))
    assert TASK.describe(np.array([1.0, 2.0])) == "mean outcome 1.5"


def test_plots_are_labelled_and_can_be_drawn() -> None:
    """A line in the legend for each side."""
    figures = TASK.plot(CURVES)
    assert set(figures) == {"plots/calibration.png", "plots/errors.png"}
    for figure in figures.values():
        (axes,) = figure.axes
        assert axes.get_title(loc="left")
        assert axes.get_xlabel()
        assert axes.get_ylabel()
        legend = axes.get_legend()
        assert legend is not None
        shown = [text.get_text() for text in legend.get_texts()]
        assert [name.startswith(("test (Nov", "fit (Jan")) for name in shown].count(True) == 2
        figure.savefig(io.BytesIO(), format="png")


def test_points_have_what_is_drawn() -> None:
    """Ten of each side, and the quantiles of the errors, which rise."""
    charts = TASK.chart(CURVES)
    assert charts["calibration"].points.groupby("side").size().to_dict() == {"fit": 10, "test": 10}
    errors = charts["errors"].points.query("side == 'test'")["error"]
    assert errors.is_monotonic_increasing
    assert errors.iloc[49] == pytest.approx(np.median(PREDICTIONS - OUTCOMES))
    assert all({chart.x, chart.y} <= set(chart.points.columns) for chart in charts.values())
