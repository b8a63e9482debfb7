"""Several classes: their codes, what they are measured by, and what is drawn of them."""

from __future__ import annotations

import io
import math

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import log_loss

from model.errors import DataInvalid
from model.training.multiclass import MulticlassClassification
from model.training.task import Curve

TASK = MulticlassClassification(["fog", "rain", "sun"])
OUTCOMES = np.array([0, 1, 2, 2], dtype=np.int8)
PREDICTIONS = np.array([[0.5, 0.3, 0.2], [0.1, 0.2, 0.7], [0.1, 0.1, 0.8], [0.6, 0.2, 0.2]], dtype=np.float32)


def make_curve(name: str = "test (Jan to Feb)", n_rows: int = 500, n_classes: int = 3) -> Curve:
    """Rows that come true as often as they are said to."""
    rng = np.random.default_rng(n_rows)
    predictions = rng.dirichlet(np.full(n_classes, 0.5), n_rows).astype(np.float32)
    outcomes = np.array([rng.choice(n_classes, p=row / row.sum()) for row in predictions.astype(np.float64)])
    return Curve(name, outcomes.astype(np.int8), predictions)


def test_the_metrics_of_four_rows() -> None:
    """Each metric, by hand."""
    metrics = TASK.evaluate(OUTCOMES, PREDICTIONS)
    assert metrics == pytest.approx(
        {
            "log_loss": -(math.log(0.5) + math.log(0.2) + math.log(0.8) + math.log(0.2)) / 4,
            "accuracy": 0.5,
            "brier": (0.38 + 1.14 + 0.06 + 1.04) / 4,
            # Each row is a bin of its own: fog is off by 0.5, 0.1, 0.1, 0.6, rain by 0.3, 0.8, 0.1, 0.2, and so on.
            "calibration_error": (1.3 / 4 + 1.4 / 4 + 1.9 / 4) / 3,
        }
    )


def test_a_class_that_was_ruled_out_costs_much_and_not_everything() -> None:
    """As XGBoost counts it: else one row would make a model infinitely bad."""
    assert TASK.evaluate([0], [[0.0, 0.5, 0.5]])["log_loss"] == pytest.approx(-math.log(1e-16))


def test_no_rows_are_an_error() -> None:
    """A mean over nothing is not a metric."""
    with pytest.raises(ValueError, match="no rows"):
        TASK.evaluate([], np.empty((0, 3)))


@pytest.mark.parametrize("outcome", [-1, 3])
def test_an_outcome_of_no_class_is_an_error(outcome: int) -> None:
    """It would be measured as another class."""
    with pytest.raises(ValueError, match="no codes of classes, which are 0 to 2"):
        TASK.evaluate([0, outcome], PREDICTIONS[:2])


def test_calibrated_predictions_have_little_calibration_error() -> None:
    """And those that are too sure of themselves have more."""
    side = make_curve(n_rows=5_000)
    too_sure = side.predictions**3 / (side.predictions**3).sum(axis=1, keepdims=True)
    assert TASK.evaluate(side.outcomes, side.predictions)["calibration_error"] < 0.02
    assert TASK.evaluate(side.outcomes, too_sure)["calibration_error"] > 0.05


def test_the_log_loss_of_many_weightings_is_scikit_learns() -> None:
    """The headline of each; of nothing there is none."""
    side, weights = make_curve(), np.random.default_rng(1).poisson(1, (4, 500)).astype(float)
    predictions = side.predictions.astype(np.float64)
    predictions /= predictions.sum(axis=1, keepdims=True)
    expected = [log_loss(side.outcomes, predictions, sample_weight=each, labels=[0, 1, 2]) for each in weights]
    assert TASK.weighted_headline(side.outcomes, predictions, weights) == pytest.approx(expected)
    once = TASK.weighted_headline(side.outcomes, side.predictions, np.ones((1, 500)))
    assert once == pytest.approx([TASK.evaluate(side.outcomes, side.predictions)[TASK.headline]])
    assert np.isnan(TASK.weighted_headline(side.outcomes, side.predictions, np.zeros((1, 500)))).all()


def test_names_become_codes() -> None:
    """In the order in which the classes were named."""
    codes = TASK.encode(pd.Series(["sun", "fog", "rain"]))
    assert codes.tolist() == [2, 0, 1]
    assert codes.dtype == np.dtype(np.int8)
    many = MulticlassClassification([str(number) for number in range(129)])
    assert many.encode(pd.Series(["128"])).tolist() == [128]


@pytest.mark.parametrize("name", ["hail", "", None])
def test_a_name_of_no_class_is_told(name: str | None) -> None:
    """It would become the code of another class."""
    with pytest.raises(DataInvalid, match=r"(hail|''|nan|None).* is no class; there are fog, rain, sun"):
        TASK.encode(pd.Series(["fog", name]))


@pytest.mark.parametrize("classes", [["fog"], ["fog", "rain", "fog"]])
def test_classes_are_several_and_differ(classes: list[str]) -> None:
    """Of one there is nothing to say, and two of the same name are one."""
    with pytest.raises(ValueError, match="several classes, each with a name of its own"):
        MulticlassClassification(classes)


@pytest.mark.parametrize(
    ("outcomes", "told"),
    [
        ([1, 1], "need outcomes of several classes, and have rain 100%"),
        ([0, 3], "no codes of classes, which are 0 to 2"),
        ([-1, 1], "no codes of classes, which are 0 to 2"),
        ([0.5, 1], "no codes of classes, which are 0 to 2"),
    ],
)
def test_what_cannot_be_learnt_is_told(outcomes: list[float], told: str) -> None:
    """And what can is none: a class may be absent from a side."""
    with pytest.raises(ValueError, match=told):
        TASK.check(np.array(outcomes))
    TASK.check(np.array([0, 2, 2]))
    assert TASK.describe(np.array([0, 2, 2, 2])) == "fog 25%, sun 75%"


@pytest.mark.parametrize("n_classes", [3, 30])
def test_plots_are_labelled_and_can_be_drawn(n_classes: int) -> None:
    """With the names of the classes, however many; calibration is drawn of the most frequent ones."""
    names = [f"class {code}" for code in range(n_classes)]
    task = MulticlassClassification(names)
    figures = task.plot([make_curve(n_classes=n_classes), make_curve("fit", n_classes=n_classes)])
    assert set(figures) == {"plots/confusion.png", "plots/calibration.png"}
    for figure in figures.values():
        assert figure.axes[0].get_title(loc="left")
        figure.savefig(io.BytesIO(), format="png")
    axes = figures["plots/confusion.png"].axes[0]
    assert [label.get_text() for label in axes.get_xticklabels()] == names
    legend = figures["plots/calibration.png"].axes[0].get_legend()
    assert legend is not None
    assert len(legend.get_texts()) == 1 + min(n_classes, 8)


def test_a_confusion_matrix_has_the_rows_of_what_came() -> None:
    """Shares of each class's rows."""
    axes = TASK.plot([Curve("test", OUTCOMES, PREDICTIONS)])["plots/confusion.png"].axes[0]
    assert np.asarray(axes.images[0].get_array()).tolist() == [[1, 0, 0], [0, 0, 1], [0.5, 0, 0.5]]
    assert axes.get_yticklabels()[2].get_text() == "sun (2)"


def test_points_are_told_class_by_class() -> None:
    """Where a class never came, there is no AUC."""
    curves = [make_curve("fit (a)"), Curve("test (b)", np.array([0, 2], dtype=np.int8), PREDICTIONS[:2])]
    charts = TASK.chart(curves)
    classes = charts["classes"].points
    assert classes[["side", "class"]].to_numpy().tolist() == [
        [side, name] for side in ("fit", "test") for name in ("fog", "rain", "sun")
    ]
    assert classes["auc"].isna().tolist() == [False, False, False, False, True, False]
    assert classes["share"].tolist()[3:] == [0.5, 0, 0.5]
    assert all({chart.x, chart.y} <= set(chart.points.columns) for chart in charts.values())
