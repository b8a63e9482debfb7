"""
The plots of a training run, for a person who decides on it.

They are drawn on figures of their own, without pyplot, so that no window system is asked for.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from sklearn.metrics import roc_auc_score, roc_curve

from model.training.evaluation import calibration_curve, calibration_error
from model.training.task import Curve

BLUE, ORANGE, GREY = "#1f5a94", "#d1730f", "#8a8a8a"


def plot_roc(curves: Sequence[Curve]) -> Figure:
    """Draw the share of late ones found against the share of others alarmed about, a line for each curve."""
    figure, axes = new_figure("ROC: how well the rows are ordered", 6, 5.4)
    axes.plot([0, 1], [0, 1], color=GREY, linestyle=":", label="chance, AUC 0.500")
    for curve, colour in zip(curves, (BLUE, ORANGE), strict=False):
        false_rate, true_rate, _ = roc_curve(curve.outcomes, curve.predictions)
        area = roc_auc_score(curve.outcomes, curve.predictions)
        axes.plot(false_rate, true_rate, color=colour, label=f"{curve.name}, AUC {area:.3f}")
    axes.set_xlabel("false positive rate")
    axes.set_ylabel("true positive rate")
    axes.set_xlim(0, 1)
    axes.set_ylim(0, 1)
    axes.set_aspect("equal")
    axes.legend(loc="lower right", frameon=False)
    return figure


def plot_calibration(curves: Sequence[Curve]) -> Figure:
    """Draw predicted against observed frequency in tenths of the rows, above the predictions' distribution."""
    figure = Figure(figsize=(6, 7), layout="constrained")
    above, below = figure.subplots(2, 1, height_ratios=[3, 1], sharex=True)
    tidy(above, "Calibration: what came true of what was predicted")
    tidy(below, "")
    above.plot([0, 1], [0, 1], color=GREY, linestyle=":", label="predicted = observed")
    highest = 0.0
    for curve, colour in zip(curves, (BLUE, ORANGE), strict=False):
        predicted, observed, _ = calibration_curve(curve.outcomes, curve.predictions)
        error = calibration_error(curve.outcomes, curve.predictions)
        above.plot(predicted, observed, color=colour, marker="o", label=f"{curve.name}, mean error {error:.3f}")
        below.hist(curve.predictions, bins=np.linspace(0, 1, 51).tolist(), histtype="step", color=colour, density=True)
        highest = max(highest, predicted.max(), observed.max())
    limit = min(1.0, highest * 1.1)
    above.set_ylim(0, limit)
    above.set_xlim(0, limit)
    above.set_ylabel("share that came true")
    above.legend(loc="upper left", frameon=False)
    below.set_xlabel("prediction (mean of a tenth of the rows; below, share of rows)")
    below.set_ylabel("density")
    return figure


def plot_importance(gains: Mapping[str, float]) -> Figure:
    """
    Draw each feature's share of all gain, the most important on top.

    Parameters
    ----------
    gains : mapping of str to float
        Total gain by feature, most important first.
    """
    total = sum(gains.values()) or 1.0
    names = list(gains)[::-1]
    shares = [100 * gains[name] / total for name in names]
    figure, axes = new_figure("Importance: share of the total gain", 6.4, 1.2 + 0.28 * len(names))
    bars = axes.barh(names, shares, color=BLUE)
    axes.bar_label(bars, fmt="%.1f", padding=3, fontsize=8)
    axes.set_xlabel("share of the loss that the splits on a feature took away, %")
    axes.margins(x=0.1, y=0.02)
    axes.grid(axis="y", visible=False)
    return figure


def new_figure(title: str, width: float, height: float) -> tuple[Figure, Axes]:
    """One pair of axes; the size in inches."""
    figure = Figure(figsize=(width, height), layout="constrained")
    axes = figure.subplots()
    tidy(axes, title)
    return figure, axes


def tidy(axes: Axes, title: str) -> None:
    """Give axes a title, and as little else as they need."""
    axes.set_title(title, loc="left", fontsize=11)
    axes.grid(color="#e4e4e4", linewidth=0.8)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
