"""Does a server give the right answers? XGBoost's own predictions say."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from benchmarks.peers.forms import Form, Row

TOLERANCE = 1e-5


class AnswerUnreadable(Exception):
    """An answer is not of the form that its server's documentation says."""


@dataclass(frozen=True)
class Verdict:
    """
    What predictions are worth.

    Attributes
    ----------
    n_predictions : int
    n_wrong : int
        Those that are further than `TOLERANCE` from XGBoost's, or no numbers.
    largest_error : float
        The largest distance from XGBoost's.
    """

    n_predictions: int
    n_wrong: int
    largest_error: float


def ask(post: Callable[[bytes], bytes], form: Form, names: Sequence[str], rows: Sequence[Row]) -> list[float]:
    """
    Ask a server for the predictions of some rows in one request.

    Parameters
    ----------
    post : callable of bytes to bytes
        Sends a body and gives the answer's.
    form : Form
    names : sequence of str, shape (n_features,)
    rows : sequence of rows, shape (n_rows, n_features)

    Raises
    ------
    AnswerUnreadable
        If the answer has another form, or not one prediction a row.
    """
    answer = post(form.encode(names, rows))
    try:
        predictions = form.decode(answer)
    except (LookupError, TypeError, ValueError) as error:
        raise AnswerUnreadable(f"{answer[:200]!r}: {error!r}") from error
    if len(predictions) != len(rows):
        raise AnswerUnreadable(f"{len(predictions)} predictions for {len(rows)} rows")
    return predictions


def judge(predictions: Sequence[float], expected: npt.NDArray[np.float32]) -> Verdict:
    """Compare predictions with XGBoost's for the same rows."""
    errors = np.abs(np.array(predictions, dtype=np.float64) - expected)
    errors[np.isnan(errors)] = np.inf
    return Verdict(errors.size, int((errors > TOLERANCE).sum()), float(errors.max()))
