"""Plots that a person can read without the code beside them."""

from __future__ import annotations

import io

import numpy as np
import pytest
from matplotlib.figure import Figure

from model.training.plots import plot_calibration, plot_importance, plot_roc
from model.training.task import Curve

RNG = np.random.default_rng(0)
PREDICTIONS = RNG.beta(2, 5, 2_000).astype(np.float32)
CURVES = [
    Curve("test (Nov to Dec)", (RNG.random(2_000) < PREDICTIONS).astype(np.int8), PREDICTIONS),
    Curve("fit (Jan to Aug)", (RNG.random(2_000) < PREDICTIONS).astype(np.int8), PREDICTIONS),
]
GAINS = {"hour": 30.0, "a_feature_with_a_long_name": 10.0, "unused": 0.0}


@pytest.mark.parametrize("figure", [plot_roc(CURVES), plot_calibration(CURVES), plot_importance(GAINS)])
def test_a_plot_is_labelled_and_can_be_drawn(figure: Figure) -> None:
    """It has a title, says what its axes are with their units, and becomes a picture."""
    assert figure.axes[0].get_title(loc="left")
    assert figure.axes[-1].get_xlabel()
    assert figure.axes[0].get_ylabel() or figure.axes[0].get_yticklabels()
    picture = io.BytesIO()
    figure.savefig(picture, format="png")
    assert picture.getvalue().startswith(b"\x89PNG")


@pytest.mark.parametrize("plot", [plot_roc, plot_calibration])
def test_every_line_is_told_in_the_legend(plot: object) -> None:
    """Which rows it is, and the number that the line comes to."""
    assert callable(plot)
    legend = plot(CURVES).axes[0].get_legend()
    names = [text.get_text() for text in legend.get_texts()]
    assert len(names) == 3
    assert names[1].startswith("test (Nov to Dec), ")
    assert names[2].startswith("fit (Jan to Aug), ")


def test_the_most_important_feature_is_on_top() -> None:
    """With its share of the whole."""
    axes = plot_importance(GAINS).axes[0]
    assert [label.get_text() for label in axes.get_yticklabels()][-1] == "hour"
    assert [text.get_text() for text in axes.texts] == ["0.0", "25.0", "75.0"]
