"""XGBoost itself as the evaluator: the reference that any other one must agree with."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import xgboost

from app.errors import ModelUnfit
from app.forest.document import BoosterDocument, read_booster
from app.forest.kernel_forest import FloatMatrix
from app.forest.learner import find_trees
from app.forest.ubjson import UbjsonError, read_ubjson

_SUFFIXES = {".ubj", ".json"}
# Each call prepares each tree anew, 2 µs, beside which the walk of so many rows takes little.
_QUICK_TREES, _QUICK_ROWS = 400, 64


class XGBoostForest:
    """
    One loaded booster; never changed after loading, safe to call from several threads.

    Attributes
    ----------
    document : BoosterDocument
    n_rounds : int or None
        How many rounds answer; None for all.
    n_quick_rows : int
        So many rows take less than a millisecond or so.
    """

    def __init__(self, path: Path, *, stops_at_best_iteration: bool) -> None:
        """
        Load a booster from XGBoost's own format.

        Parameters
        ----------
        path : pathlib.Path
            A ``.ubj`` or ``.json`` file; anything else, pickles first of all, is refused unread.
        stops_at_best_iteration : bool
            As `BoosterDocument.count_rounds` takes it.

        Raises
        ------
        ModelUnfit
            If the file is not such a file, or XGBoost cannot read it.
        """
        _refuse_foreign_formats(path)
        _refuse_cut_files(path)
        try:
            # XGBoost prints its messages on standard output, among the log's JSON lines. One thread, because a
            # row is not worth waking a second one, and threads that wait for a busy core cost many times the work.
            with xgboost.config_context(verbosity=0):
                self._booster = xgboost.Booster({"nthread": 1}, model_file=os.fspath(path))
        # XGBoost quotes the bytes of a corrupt file, which are not always UTF-8.
        except (xgboost.core.XGBoostError, UnicodeDecodeError) as error:
            raise ModelUnfit(f"XGBoost cannot read {path.name}: {_first_line(error)}; is the file whole?") from None
        self.document: BoosterDocument
        self.document, learner = read_booster(self.raw())
        n_trees = 0 if self.document.booster == "gblinear" else len(find_trees(learner))
        self.n_quick_rows = _QUICK_ROWS if n_trees <= _QUICK_TREES else 0
        best = self.document.best_iteration
        if best is not None and not 0 <= best < self._booster.num_boosted_rounds():
            raise ModelUnfit(
                f"the best iteration of {path.name} is {best}, and it has {self._booster.num_boosted_rounds()} rounds; "
                "log the model again as it was trained"
            )
        self.n_rounds = self.document.count_rounds(stops_at_best_iteration=stops_at_best_iteration)

    def raw(self) -> bytes:
        """The booster's document, as this version of XGBoost writes it."""
        return bytes(self._booster.save_raw("ubj"))

    def margins(self, matrix: FloatMatrix) -> FloatMatrix:
        """
        Sums of the leaves, before the objective's output transform.

        Parameters
        ----------
        matrix : numpy.ndarray of float32, shape (n_rows, n_features)
            Categories as codes, missing values as NaN.

        Returns
        -------
        numpy.ndarray of float32, shape (n_rows,) or (n_rows, n_classes)
        """
        return self._answer(matrix, "margin")

    def predictions(self, matrix: FloatMatrix) -> FloatMatrix:
        """
        What ``Booster.predict`` answers: probabilities, values or classes, by the objective.

        Parameters and returns are those of `margins`.
        """
        return self._answer(matrix, "value")

    def _answer(self, matrix: FloatMatrix, kind: str) -> FloatMatrix:
        rounds = (0, self.n_rounds or 0)
        # XGBoost cannot predict gblinear in place, and adds up dart's trees in another order there.
        if self.document.booster == "gbtree":
            answer: Any = self._booster.inplace_predict(
                matrix, iteration_range=rounds, predict_type=kind, validate_features=False
            )
        else:
            answer = self._booster.predict(
                self._to_dmatrix(matrix), iteration_range=rounds, output_margin=kind == "margin"
            )
        return np.asarray(answer, dtype=np.float32)

    def _to_dmatrix(self, matrix: FloatMatrix) -> Any:
        features = self.document.features
        return xgboost.DMatrix(
            matrix,
            feature_names=[feature.name for feature in features] if self._booster.feature_names else None,
            feature_types=["c" if feature.is_category else "q" for feature in features],
            nthread=1,
            enable_categorical=True,
        )


def _refuse_foreign_formats(path: Path) -> None:
    try:
        with path.open("rb") as file:
            head = file.read(2)
    except OSError as error:
        raise ModelUnfit(f"{path.name} cannot be read: {error.strerror}") from None
    # 0x80 opens every pickle since protocol 2; both of XGBoost's own formats open with a brace.
    if head[:1] == b"\x80" or path.suffix in {".pkl", ".pickle", ".joblib", ".cloudpickle"}:
        raise ModelUnfit(
            f"{path.name} is a pickle, which can run any code when opened, and is never loaded; log the model "
            'again with mlflow.xgboost.log_model(..., model_format="ubj")'
        )
    if path.suffix not in _SUFFIXES or head[:1] != b"{":
        raise ModelUnfit(f"{path.name} is not in XGBoost's own format (.ubj or .json); log the model again in it")


def _refuse_cut_files(path: Path) -> None:
    if path.suffix == ".ubj":
        try:
            read_ubjson(path.read_bytes())
        except UbjsonError as error:
            raise ModelUnfit(f"{path.name} is no whole booster: {error}; register the model version again") from None


def _first_line(error: Exception) -> str:
    return str(error).splitlines()[0].split("] ", 1)[-1].strip()
