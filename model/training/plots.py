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
# As many as a task draws curves at most.
_COLOURS = (BLUE, ORANGE, "#3b7d3a", "#a3161d", "#6b4c9a", "#7a5230", "#c2569f", "#4aa3a2")
_MAX_WRITTEN = 12  # classes whose shares are written into a confusion matrix
_DARK = 0.5  # share from which on the writing is white


def plot_roc(curves: Sequence[Curve]) -> Figure:
    """Draw the share of yes that is found against the share of no alarmed about, a line for each curve."""
    figure, axes = new_figure("ROC: how well the rows are ordered", 6, 5.4)
    axes.plot([0, 1], [0, 1], color=GREY, linestyle=":", label="chance, AUC 0.500")
    for curve, colour in zip(curves, _COLOURS, strict=False):
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
    for curve, colour in zip(curves, _COLOURS, strict=False):
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


def plot_confusion(curve: Curve, classes: Sequence[str]) -> Figure:
    """Draw of the rows of each class which one was the most probable, as shares."""
    n_classes = len(classes)
    counts = np.zeros((n_classes, n_classes))
    np.add.at(counts, (curve.outcomes, curve.predictions.argmax(axis=1)), 1)
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    size = 3 + 0.5 * min(n_classes, 24)
    figure, axes = new_figure(f"Confusion: {curve.name}", size, size)
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    axes.grid(visible=False)
    axes.set_xticks(range(n_classes), classes, rotation=90)
    axes.set_yticks(
        range(n_classes), [f"{name} ({int(n):,})" for name, n in zip(classes, counts.sum(axis=1), strict=True)]
    )
    axes.set_xlabel("most probable class")
    axes.set_ylabel("class that came true (rows)")
    if n_classes <= _MAX_WRITTEN:
        for (row, column), share in np.ndenumerate(shares):
            colour = "white" if share > _DARK else "black"
            axes.text(column, row, f"{share:.0%}", ha="center", va="center", color=colour, fontsize=8)
    return figure


def plot_means(curves: Sequence[Curve]) -> Figure:
    """Draw predicted against observed means in tenths of the rows."""
    figure, axes = new_figure("Calibration: what came true of what was predicted", 6, 5.4)
    for curve, colour in zip(curves, _COLOURS, strict=False):
        predicted, observed, _ = calibration_curve(curve.outcomes, curve.predictions)
        axes.plot(predicted, observed, color=colour, marker="o", label=curve.name)
    axes.axline((0, 0), slope=1, color=GREY, linestyle=":", label="predicted = observed")
    axes.autoscale_view()
    axes.set_xlabel("prediction (mean of a tenth of the rows)")
    axes.set_ylabel("mean outcome")
    axes.legend(loc="upper left", frameon=False)
    return figure


def plot_errors(curves: Sequence[Curve]) -> Figure:
    """Draw how predictions minus outcomes are distributed, but for the outermost hundredth."""
    figure, axes = new_figure("Errors: prediction minus outcome", 6.4, 4)
    for curve, colour in zip(curves, _COLOURS, strict=False):
        errors = np.subtract(curve.predictions, curve.outcomes, dtype=np.float64)
        low, high = np.quantile(errors, [0.005, 0.995])
        label = f"{curve.name}, RMSE {np.sqrt(np.mean(errors**2)):.4g}"
        shown = errors[(errors >= low) & (errors <= high)]
        axes.hist(shown, bins=50, histtype="step", density=True, color=colour, label=label)
    axes.axvline(0, color=GREY, linestyle=":")
    axes.set_xlabel("prediction minus outcome")
    axes.set_ylabel("density")
    axes.legend(loc="upper left", frameon=False)
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
