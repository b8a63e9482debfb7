"""
Predicts what has been answered once more, with the model version that answered nobody, and compares the two.

A thread of lower priority does it after the answer. What it has no room or no time for is answered and recorded all the
same, only without the other prediction.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from itertools import accumulate, pairwise

import numpy as np

from app.cores import give_way, go_last
from app.errors import InvalidRequest, PredictionNotFinite
from app.forest.kernel_forest import FloatMatrix
from app.metrics import Metrics, ShadowDropReason
from app.payload_log import PayloadLog
from app.shadow.answered import Answered
from app.shadow.roles import Roles
from app.wire.answer import encode_predictions

# What may wait: some 8,000 requests of one instance with 20 features, or two of 10,000 instances.
MAX_WAITING_BYTES = 8 * 1024 * 1024
# How long requests gather, so that the thread comes seldom: each time it takes the interpreter away for moments.
_PAUSE_S = 0.02
# At least. More than a forest is quick with, it would share out among threads, and batches are answered by those.
_ROWS_AT_ONCE = 32


class Shadow:
    """Takes requests that have been answered, and hands their lines over to the payload log."""

    def __init__(self, payload_log: PayloadLog, metrics: Metrics) -> None:
        self._payload_log = payload_log
        self._metrics = metrics
        self._waiting: deque[Answered] = deque()
        self._n_waiting_bytes = 0
        self._in_work: Answered | None = None
        self._changing = threading.Lock()
        self._closing = threading.Event()
        self._wake = threading.Event()
        self._thread = threading.Thread(target=self._work_until_closed, name="shadow", daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def offer(self, answered: Answered) -> bool:
        """
        Hand requests over, which nobody may change from then on; never blocks and never fails.

        Returns
        -------
        bool
            Whether they were taken; if not, that is counted, and their lines are still to be recorded.
        """
        with self._changing:
            if self._closing.is_set():
                reason = ShadowDropReason.CLOSED
            # What is larger than the whole queue is taken when the queue is empty, or it never would be.
            elif self._waiting and self._n_waiting_bytes + answered.n_bytes > MAX_WAITING_BYTES:
                reason = ShadowDropReason.QUEUE_FULL
            else:
                if not self._waiting:
                    self._wake.set()
                self._waiting.append(answered)
                self._n_waiting_bytes += answered.n_bytes
                return True
        self._drop(answered.n_rows, reason)
        return False

    def close(self, timeout_s: float = 1.0) -> None:
        """Predict what is waiting; what is left after `timeout_s` is recorded without the other prediction."""
        with self._changing:
            self._closing.set()
        self._wake.set()
        if self._thread.is_alive():
            self._thread.join(timeout_s)
        with self._changing:
            left = [*([self._in_work] if self._in_work else []), *self._waiting]
            self._in_work = None
            self._waiting.clear()
            self._n_waiting_bytes = 0
        for answered in left:
            self._drop(answered.n_rows, ShadowDropReason.CLOSED)
            self._record(answered, None)

    def _work_until_closed(self) -> None:
        go_last()
        while True:
            self._wake.wait()
            is_closing = self._closing.wait(_PAUSE_S)
            self._wake.clear()  # before the queue is emptied: what comes into an empty one wakes again
            while answered := self._take():
                self._work_on(answered)
                give_way()
            if is_closing:
                return

    def _take(self) -> Answered | None:
        with self._changing:
            if not self._waiting:
                return None
            self._in_work = answered = self._waiting.popleft()
            self._n_waiting_bytes -= answered.n_bytes
        return answered

    def _work_on(self, answered: Answered) -> None:
        matrices = self._read(answered)
        others: list[str | None] | None = None
        if matrices:
            try:
                others = self._predict(answered, matrices)
            except Exception as error:  # whatever it is, it must not cost a line, nor end the thread
                self._fail(answered.roles, _count_rows(answered, matrices), error)
        with self._changing:
            if self._in_work is not answered:  # the end has not waited for it
                return
            self._in_work = None
        self._record(answered, others)

    def _read(self, answered: Answered) -> Mapping[int, FloatMatrix]:
        """By the place of each request, the other version's matrix; without those that it has none of."""
        roles = answered.roles
        if roles.comparison is None:
            self._drop(answered.n_rows, ShadowDropReason.NOT_COMPARABLE)
            return {}
        if roles.reads_alike:
            return dict(enumerate(answered.matrices))
        assert roles.other is not None
        matrices: dict[int, FloatMatrix] = {}
        for place, (body, matrix) in enumerate(zip(answered.bodies, answered.matrices, strict=True)):
            try:
                matrices[place] = roles.other.decoder.decode(
                    body, max_instances=len(matrix), unknown_is_missing=roles.other_unknown_is_missing
                ).matrix
            except InvalidRequest as error:
                self._drop(len(matrix), ShadowDropReason.NOT_COMPARABLE)
                _tell(roles, error)
            except Exception as error:
                self._fail(roles, len(matrix), error)
        return matrices

    def _predict(self, answered: Answered, matrices: Mapping[int, FloatMatrix]) -> list[str | None]:
        """What the other version predicts of each request; None where that is nothing to compare, which is counted."""
        roles = answered.roles
        assert roles.other is not None
        forest, rows = roles.other.forest, np.concatenate(list(matrices.values()))
        step = max(_ROWS_AT_ONCE, forest.n_quick_rows)
        predictions = np.concatenate(
            [forest.predictions(rows[start : start + step]) for start in range(0, len(rows), step)]
        )
        given = np.concatenate([answered.predictions[place] for place in matrices])
        if predictions.shape != given.shape:
            self._drop(len(given), ShadowDropReason.NOT_COMPARABLE)
            return [None] * len(answered.bodies)
        texts = _encode(predictions, [len(matrix) for matrix in matrices.values()])
        others: list[str | None] = [None] * len(answered.bodies)
        for place, text in zip(matrices, texts, strict=True):
            others[place] = text
        if None in texts:
            lost = [place for place, text in zip(matrices, texts, strict=True) if text is None]
            self._fail(roles, _count_rows(answered, lost), PredictionNotFinite("it answers what is no finite number"))
            kept = np.repeat([text is not None for text in texts], [len(matrix) for matrix in matrices.values()])
            given, predictions = given[kept], predictions[kept]
        self._compare(roles, given, predictions)
        return others

    def _compare(self, roles: Roles, given: FloatMatrix, predictions: FloatMatrix) -> None:
        assert roles.comparison is not None
        self._metrics.disagreement.values[roles.compared_as].observe_all(
            roles.comparison.differences(given, predictions)
        )
        agreements = roles.comparison.agreements(given, predictions)
        if agreements is not None:
            n_agree = int(np.count_nonzero(agreements))
            self._metrics.decisions.values[*roles.compared_as, "true"] += n_agree
            self._metrics.decisions.values[*roles.compared_as, "false"] += len(agreements) - n_agree

    def _record(self, answered: Answered, others: list[str | None] | None) -> None:
        """Hand lines over; the payload log's writer has them made, and counts what cannot be made."""
        if answered.n_lines:
            self._payload_log.record(answered.make_lines(others), answered.n_lines, answered.n_bytes)

    def _fail(self, roles: Roles, n_rows: int, error: Exception) -> None:
        self._drop(n_rows, ShadowDropReason.FAILED)
        _tell(roles, error)

    def _drop(self, n_rows: int, reason: ShadowDropReason) -> None:
        self._metrics.shadow_dropped.labels(reason).inc(n_rows)


def _encode(predictions: FloatMatrix, sizes: Sequence[int]) -> list[str | None]:
    """As text for requests of so many instances; None where one is not finite."""
    if predictions.ndim == 1 and len(sizes) == len(predictions) and np.isfinite(predictions).all():
        return list(encode_predictions(predictions).split(","))
    texts: list[str | None] = []
    for start, end in pairwise(accumulate(sizes, initial=0)):
        try:
            texts.append(encode_predictions(predictions[start:end]))
        except PredictionNotFinite:
            texts.append(None)
    return texts


def _count_rows(answered: Answered, places: Iterable[int]) -> int:
    return sum(len(answered.matrices[place]) for place in places)


def _tell(roles: Roles, error: Exception) -> None:
    assert roles.other is not None
    roles.tell(f"{roles.other.version} does not predict in shadow what {roles.predictor.version} answers", error)
