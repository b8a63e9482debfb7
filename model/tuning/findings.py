"""What is logged of a trial and of a search as it ends: figures, plots, and texts for a person."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence

from model.tuning.comparison import Comparison
from model.tuning.params_file import render_values
from model.tuning.plots import plot_history, plot_trial, plot_values, plot_weights
from model.tuning.record import Findings
from model.tuning.space import SPACE, take_values
from model.tuning.trial import Measure, Trial

_NOTE = "mlflow.note.content"  # which MLflow's page shows above everything else, as Markdown
_N_IN_NOTE = 5


def describe_trial(
    trial: Trial, present: Trial | None, measure: Measure, seconds: float, source: str | None
) -> Findings:
    """
    What there is to say of one set of parameters.

    Parameters
    ----------
    trial : Trial
    present : Trial or None
        What it is drawn beside.
    measure : Measure
    seconds : float
        That it took.
    source : str or None
        The run whose figures were taken.
    """
    metrics = {"seconds": seconds}
    for number, curve in enumerate(trial.curves, 1):
        best = measure.best_round(curve)
        metrics |= {f"best_score_window_{number}": curve[best - 1], f"best_round_window_{number}": best}
    if trial.score is not None:
        metrics["score"] = trial.score
    return Findings(
        metrics=metrics,
        tags={"reused_from": source} if source else {},
        figures={"plots/rounds.png": plot_trial(trial, present, measure)},
    )


def describe_search(
    trials: Sequence[Trial], comparison: Comparison, weights: Mapping[str, float], measure: Measure
) -> Findings:
    """
    What there is to say of a search.

    Parameters
    ----------
    trials : sequence of Trial
        In their order.
    comparison : Comparison
    weights : mapping of str to float
        How much each parameter matters; empty where too little is known.
    measure : Measure
    """
    best, present = comparison.best, comparison.present
    figures = {
        "plots/history.png": plot_history(trials, present, measure),
        "plots/values.png": plot_values(trials, best, present, measure),
    }
    if weights:
        figures["plots/importance.png"] = plot_weights(weights)
    return Findings(
        metrics={
            "n_trials": len(trials),
            "n_pruned": sum(trial.is_pruned for trial in trials),
            "best_score": best.path[-1],
            "present_score": present.path[-1],
            "gain": comparison.gain,
            **{f"gain_other_seed_{number}": gain for number, gain in enumerate(comparison.other_gains, 1)},
        },
        tags={_NOTE: _write_note(trials, comparison, measure)},
        figures=figures,
        texts={
            "best.yaml": render_values(take_values(best.parameters)),
            "trials.csv": _write_table(trials),
        },
    )


def rank(trials: Sequence[Trial], is_higher_better: bool) -> list[Trial]:
    """The whole ones, the best first; of equals the earlier."""
    whole = [trial for trial in trials if trial.score is not None]
    return sorted(whole, key=lambda trial: trial.path[-1], reverse=is_higher_better)


def list_gains(comparison: Comparison) -> str:
    """By how much the best is better, in words."""
    if comparison.is_same:
        return "the best parameters are the present ones"
    verdict = "better" if comparison.is_better else "not more than luck"
    return (
        f"{comparison.best.path[-1]:.4f} against {comparison.present.path[-1]:.4f} of the present parameters, "
        f"{comparison.gain:+.4f}; with {len(comparison.other_gains)} other seeds, by which it was not chosen, "
        f"{comparison.mean_gain:+.4f} ± {comparison.standard_error:.4f}: {verdict}"
    )


def _write_note(trials: Sequence[Trial], comparison: Comparison, measure: Measure) -> str:
    names = list(SPACE)
    rows = [("best", comparison.best), ("present", comparison.present)]
    ranked = rank(trials, measure.is_higher_better)[1:_N_IN_NOTE]
    rows[1:1] = [(f"{place}.", trial) for place, trial in enumerate(ranked, 2)]
    lines = [
        f"{measure.metric}, mean of the windows: {list_gains(comparison)}.",
        "",
        _join_cells(["", measure.metric, *names]),
        _join_cells(["---"] * (len(names) + 2)),
        *(
            _join_cells([place, f"{trial.path[-1]:.4f}", *map(str, take_values(trial.parameters).values())])
            for place, trial in rows
        ),
    ]
    return "\n".join(lines) + "\n"


def _join_cells(cells: Sequence[str]) -> str:
    # Pipes at both ends, or Markdown takes a row that begins with an empty cell for one cell shorter.
    return f"| {' | '.join(cells)} |"


def _write_table(trials: Sequence[Trial]) -> str:
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerow(["trial", *SPACE, "score", "state"])
    for number, trial in enumerate(trials):
        state = "pruned" if trial.is_pruned else "whole"
        table.writerow([number, *take_values(trial.parameters).values(), trial.score, state])
    return text.getvalue()
