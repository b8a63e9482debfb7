"""A challenger in service: what came true of both its and the champion's predictions for the same instances."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import numpy as np

from model.gate.bootstrap import draw_gains, measure_gain
from model.observed.live_figures import predictions_of
from model.observed.logs import Logs
from model.observed.period import Period
from model.retraining.report import Report
from model.retraining.triggers import choose_possible, is_ours, to_arrays
from model.rules import GateRules, RetrainingRules
from model.training.task import Task

_N_BLOCKS = 28
_OURS, _THEIRS = "challenger", "champion"


def judge_shadow(
    task: Task,
    champion: str,
    challenger: str,
    logs: Logs,
    period: Period,
    rules: RetrainingRules,
    gate: GateRules,
    report: Report,
) -> tuple[Literal["wait", "promote", "drop"], str]:
    """
    Decide on a challenger by outcomes; the gate has found it better, and it must not turn out to be worse.

    Parameters
    ----------
    task : Task
    champion, challenger : str
        The versions.
    logs : Logs
    period : Period
        In which outcomes came.
    rules : RetrainingRules
    gate : GateRules
    report : Report

    Returns
    -------
    fate : {"wait", "promote", "drop"}
    found : str
        By what, in a sentence.
    """
    joined = logs.join_outcomes(period)[1].lines
    pairs = choose_possible(task, [pair for line in joined if (pair := _pair(line, champion, challenger))])
    if len(pairs) < rules.least_rows:
        found = f"{len(pairs):,} outcomes of both; {rules.least_rows:,} are waited for"
        report.note("shadow", found)
        return "wait", found
    outcomes, ours = to_arrays(pairs, _OURS)
    theirs = to_arrays(pairs, _THEIRS)[1]
    gain = measure_gain(task, outcomes, ours, theirs)
    # In the order in which they were asked: of when the day changes where callers are, the log knows nothing.
    blocks = np.arange(len(pairs)) * _N_BLOCKS // len(pairs)
    low, high = draw_gains(task, outcomes, ours, theirs, blocks, gate.confidence)
    errors = [task.evaluate(outcomes, predictions)["calibration_error"] for predictions in (ours, theirs)]
    is_calibrated = errors[0] <= errors[1] + gate.calibration_loss
    found = (
        f"of {len(pairs):,} outcomes, {task.headline} better by {gain:+.4f} ({low:+.4f} to {high:+.4f}); calibration "
        f"error {errors[0]:.4f}, the champion's {errors[1]:.4f}, which it may exceed by {gate.calibration_loss:g}"
    )
    report.note(
        "shadow",
        found,
        {"shadow_gain": gain, "shadow_gain_low": low, "shadow_gain_high": high, "shadow_outcomes": len(pairs)},
    )
    if not is_calibrated or high < 0:
        return "drop", found
    # Worse by chance, perhaps, or of one kind of outcome alone: more of them will say.
    return ("promote" if gain >= 0 else "wait"), found


def _pair(line: Mapping[str, Any], champion: str, challenger: str) -> dict[str, Any] | None:
    """Outcome and both predictions, whichever of the two has answered; None where it is of others."""
    if not is_ours(line):
        return None
    said = {version: prediction for version, _, prediction in predictions_of(line)}
    if not {champion, challenger} <= said.keys():
        return None
    return {"treeserve.outcome": line["treeserve.outcome"], _OURS: said[challenger], _THEIRS: said[champion]}
