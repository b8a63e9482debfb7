"""The plots of a search and of its trials, for a person who decides on it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import accumulate
from math import ceil

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FormatStrFormatter, LogLocator, MaxNLocator, NullFormatter
from optuna.distributions import FloatDistribution, IntDistribution

from model.training.plots import BLUE, GREY, ORANGE, new_figure, tidy
from model.tuning.space import SPACE
from model.tuning.trial import Measure, Trial, list_checkpoints

_N_COLUMNS = 3


def plot_trial(trial: Trial, present: Trial | None, measure: Measure) -> Figure:
    """Draw the stopping metric round by round in each window, beside that of the present parameters."""
    figure = Figure(figsize=(5.2 * len(measure.windows), 4), layout="constrained")
    subplots = figure.subplots(1, len(measure.windows), squeeze=False)[0]
    checkpoints = list_checkpoints(trial.parameters)
    for number, (axes, window) in enumerate(zip(subplots, measure.windows, strict=True)):
        tidy(axes, window.name)
        for name, known, colour in (("present", present, GREY), ("trial", trial, BLUE)):
            if known is None or len(known.curves) <= number:
                continue
            curve = known.curves[number]
            best = measure.best_round(curve)
            label = f"{name}: {curve[best - 1]:.4f} after {best} rounds"
            axes.plot(range(1, len(curve) + 1), curve, color=colour, linewidth=1, label=label)
            axes.plot(best, curve[best - 1], color=colour, marker="o")
        for n_rounds in checkpoints:
            axes.axvline(n_rounds, color=GREY, linewidth=0.6, linestyle=":")
        _scale_by_factors(axes)
        axes.set_xlabel("rounds (dotted: where the search looks)")
        axes.set_ylabel(f"{measure.metric} on the later rows")
        axes.legend(loc="lower right" if measure.is_higher_better else "upper right", frameon=False, fontsize=8)
    return figure


def plot_history(trials: Sequence[Trial], present: Trial, measure: Measure) -> Figure:
    """Draw the score of each trial in their order, and the best yet."""
    figure, axes = new_figure("The search, trial by trial", 7.5, 4.2)
    whole = [(number, trial.score) for number, trial in enumerate(trials) if trial.score is not None]
    if whole:
        numbers, scores = zip(*whole, strict=True)
        best = list(accumulate(scores, max if measure.is_higher_better else min))
        axes.step([*numbers, len(trials) - 1], [*best, best[-1]], where="post", color=ORANGE, label="best yet")
        axes.plot(numbers, scores, color=BLUE, marker="o", linestyle="", label="whole")
    pruned = [number for number, trial in enumerate(trials) if trial.is_pruned]
    # They have no score, only the place in the order.
    at_the_bottom = axes.get_xaxis_transform()
    axes.plot(
        pruned, [0.02] * len(pruned), color=GREY, marker="|", linestyle="", transform=at_the_bottom, label="pruned"
    )
    axes.axhline(present.path[-1], color=GREY, linestyle="--", label="present parameters")
    axes.set_xlabel("trial")
    axes.set_ylabel(f"{measure.metric}, mean of the windows")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.legend(loc="best", frameon=False, fontsize=8)
    return figure


def plot_weights(weights: Mapping[str, float]) -> Figure:
    """Draw how much of the differences between trials each parameter explains, the most important on top."""
    names = list(weights)[::-1]
    figure, axes = new_figure("Which parameters matter, by fANOVA over the whole trials", 6.4, 1.4 + 0.3 * len(names))
    bars = axes.barh(names, [100 * weights[name] for name in names], color=BLUE)
    axes.bar_label(bars, fmt="%.0f", padding=3, fontsize=8)
    axes.set_xlabel("share of the differences between scores, %")
    axes.margins(x=0.1)
    axes.grid(axis="y", visible=False)
    return figure


def plot_values(trials: Sequence[Trial], best: Trial, present: Trial, measure: Measure) -> Figure:
    """Draw the score against each searched parameter: where the good values lie, and whether one lies at a wall."""
    n_rows = ceil(len(SPACE) / _N_COLUMNS)
    figure = Figure(figsize=(3.4 * _N_COLUMNS, 2.9 * n_rows), layout="constrained")
    grid = np.ravel(figure.subplots(n_rows, _N_COLUMNS, sharey=True))
    whole = [trial for trial in trials if trial.score is not None]
    pruned = [trial for trial in trials if trial.is_pruned]
    for axes, (name, distribution) in zip(grid, SPACE.items(), strict=False):
        tidy(axes, name)
        assert isinstance(distribution, FloatDistribution | IntDistribution)
        if distribution.log:
            _scale_by_factors(axes)
            axes.set_xlim(distribution.low / 1.1, distribution.high * 1.1)
        else:
            margin = (distribution.high - distribution.low) / 30
            axes.set_xlim(distribution.low - margin, distribution.high + margin)
        for chosen, colour, label in ((whole, BLUE, "trial"), ([best], ORANGE, "best"), ([present], GREY, "present")):
            values = [getattr(trial.parameters, name) for trial in chosen]
            axes.plot(values, [trial.score for trial in chosen], color=colour, marker="o", linestyle="", label=label)
        values = [getattr(trial.parameters, name) for trial in pruned]
        at_the_bottom = axes.get_xaxis_transform()
        axes.plot(
            values, [0.02] * len(values), color=GREY, marker="|", linestyle="", transform=at_the_bottom, label="pruned"
        )
    figure.legend(*grid[0].get_legend_handles_labels(), loc="outside lower center", ncols=4, frameon=False)
    for axes in grid[::_N_COLUMNS]:
        axes.set_ylabel(measure.metric)
    for axes in grid[len(SPACE) :]:
        axes.set_visible(False)
    return figure


def _scale_by_factors(axes: Axes) -> None:
    """A logarithmic axis with numbers that a person reads: 0.02, 0.05, 0.1."""
    axes.set_xscale("log")
    axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.xaxis.set_major_formatter(FormatStrFormatter("%g"))
    axes.xaxis.set_minor_formatter(NullFormatter())
