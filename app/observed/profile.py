"""The observed profile of one model version: what it was asked and what it has answered, in bins."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from app.ecs import static_fields, timestamp
from app.line_sink import Piece
from app.observed.bins import (
    PROFILE_DATASET,
    ColumnBins,
    Counts,
    FloatMatrix,
    bins_of_features,
    bins_of_prediction,
)
from app.observed.counts import BinCounts
from app.predictor import Predictor

_AT_ONCE = 64


class ObservedProfile:
    """
    Counts what a predictor with a reference profile is asked and answers.

    Attributes
    ----------
    version : ModelVersion
    """

    def __init__(self, predictor: Predictor) -> None:
        assert predictor.profile is not None
        self.version = predictor.version
        self._features = BinCounts(bins_of_features(predictor.profile, predictor.signature))
        self._predictions = BinCounts([bins_of_prediction(predictor.profile)])
        self._matrices: list[FloatMatrix] = []
        self._answers: list[FloatMatrix] = []
        self._told = self._take()

    def add(self, matrix: FloatMatrix, predictions: FloatMatrix) -> None:
        """
        Count a small request, on the event loop's thread alone; the parameters are one of each of those of `observe`.

        Between two answers the code that counts leaves the processor's caches: many are counted at a stretch.
        """
        self._matrices.append(matrix)
        self._answers.append(predictions)
        if len(self._matrices) >= _AT_ONCE:
            self._count_waiting()

    def observe(self, matrices: Sequence[FloatMatrix], predictions: Sequence[FloatMatrix]) -> None:
        """
        Count requests, in any thread.

        Parameters
        ----------
        matrices : sequence of numpy.ndarray of float32, shape (n_instances, n_features)
            NaN is a missing value, or an unknown category by its bits.
        predictions : sequence of numpy.ndarray of float32, shape (n_instances,) or (n_instances, n_classes)
            Of several classes the most probable one is counted, if the reference has them; a number else not.
        """
        self._features.count(matrices)
        (column,) = self._predictions.columns
        if column.codes is None:
            self._predictions.count([each for each in predictions if each.ndim == 1])
        else:
            self._predictions.count([each.argmax(axis=1).astype(np.float32) for each in predictions])

    def features(self) -> Iterator[tuple[ColumnBins, Counts]]:
        """The features' bins, and the counts of each; on the event loop's thread."""
        self._count_waiting()
        return zip(self._features.columns, self._features.take(), strict=True)

    def predictions(self) -> tuple[ColumnBins, Counts]:
        """The prediction's bins, and their counts; on the event loop's thread."""
        self._count_waiting()
        return self._predictions.columns[0], self._predictions.take()[0]

    def lines(self) -> Iterator[Piece]:
        """
        Lines with what was counted since the last time: one for each bin; none if nothing was.

        What is to be said is fixed with the call, and the lines are made when they are asked for.
        """
        before, self._told = self._told, self._take()
        now = [
            (kind, column, counts - counts_before)
            for (kind, column, counts), (_, _, counts_before) in zip(self._told, before, strict=True)
        ]
        return self._write(time.time(), now)

    def _count_waiting(self) -> None:
        matrices, answers = self._matrices, self._answers
        if matrices:
            self._matrices, self._answers = [], []
            self.observe(matrices, answers)

    def _take(self) -> list[tuple[str, ColumnBins, Counts]]:
        features = [("feature", column, counts) for column, counts in self.features()]
        return [*features, ("prediction", *self.predictions())]

    def _write(self, at_s: float, counted: list[tuple[str, ColumnBins, Counts]]) -> Iterator[Piece]:
        fields: dict[str, Any] = {
            "@timestamp": timestamp(at_s),
            **static_fields("info", "profile", PROFILE_DATASET),
            "event.dataset": PROFILE_DATASET,
            "treeserve.model.name": self.version.name,
            "treeserve.model.version": self.version.version,
        }
        head = json.dumps(fields)[:-1]
        for kind, column, counts in counted:
            if not np.any(counts):
                continue
            lines = [
                f"{head}, {_write_bin(kind, column.name, label, int(count), share)}}}\n"
                for label, count, share in zip(column.labels, counts, column.shares, strict=True)
            ]
            yield "".join(lines).encode(), 0


def _write_bin(kind: str, name: str, label: str, count: int, share: float) -> str:
    fields = {
        "treeserve.profile.kind": kind,
        "treeserve.profile.name": name,
        "treeserve.profile.bin": label,
        "treeserve.profile.count": count,
        "treeserve.profile.reference": share,
    }
    return json.dumps(fields)[1:-1]
