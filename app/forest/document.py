"""What stands in a booster's own document besides the trees: names, types, categories, shape."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from app.errors import ModelUnfit
from app.forest.ubjson import read_ubjson
from app.signature import BoosterFeature


@dataclass(frozen=True)
class BoosterDocument:
    """
    The parts of XGBoost's model document that serving needs.

    Attributes
    ----------
    features : tuple of BoosterFeature
        In the order of the matrix's columns.
    objective : str
        XGBoost's name of it, such as ``binary:logistic``.
    booster : str
        XGBoost's name of its kind: ``gbtree``, ``dart`` or ``gblinear``.
    best_iteration : int or None
        Where early stopping found the best round, if it was used.
    """

    features: tuple[BoosterFeature, ...]
    objective: str
    booster: str
    best_iteration: int | None

    def count_rounds(self, *, stops_at_best_iteration: bool) -> int | None:
        """
        How many rounds answer; None for all.

        Parameters
        ----------
        stops_at_best_iteration : bool
            Whether early stopping's best round is the last one used, as a scikit-learn wrapper does it; a plain
            `Booster` uses all rounds.
        """
        # gblinear has no rounds to stop at; XGBoost's own wrapper uses its weights as they ended.
        if not stops_at_best_iteration or self.best_iteration is None or self.booster == "gblinear":
            return None
        return self.best_iteration + 1


def read_booster(raw: bytes) -> tuple[BoosterDocument, dict[str, Any]]:
    """
    Read the document that ``Booster.save_raw("ubj")`` gives.

    Returns
    -------
    BoosterDocument
    dict
        The learner, with all its trees.

    Raises
    ------
    ModelUnfit
        If it is not laid out as XGBoost 2 and 3 lay it out.
    """
    try:
        learner = read_learner(raw)
        booster = learner["gradient_booster"]
        trees = booster["gbtree"]["model"] if "gbtree" in booster else booster["model"]
        n_features = int(learner["learner_model_param"]["num_feature"])
        best = learner.get("attributes", {}).get("best_iteration")
        document = BoosterDocument(
            features=_read_features(learner, trees, n_features),
            objective=str(learner["objective"]["name"]),
            booster=str(booster["name"]),
            best_iteration=None if best is None else int(best),
        )
    except (KeyError, TypeError, ValueError, IndexError, AttributeError) as error:
        raise ModelUnfit(f"the booster's document is not one that XGBoost 2 or 3 writes: {error!r}") from None
    return document, learner


def read_learner(raw: bytes) -> dict[str, Any]:
    """The part of the document that is the model, with all its trees; raises `KeyError`, `TypeError`, `ValueError`."""
    learner: dict[str, Any] = read_ubjson(raw)["learner"]
    return learner


def _read_features(learner: dict[str, Any], trees: dict[str, Any], n_features: int) -> tuple[BoosterFeature, ...]:
    # A booster trained on a bare array has no names; XGBoost's own reports then call them f0, f1, …
    names = learner.get("feature_names") or [f"f{column}" for column in range(n_features)]
    types = learner.get("feature_types") or [""] * n_features
    encodings = trees.get("cats", {}).get("enc") or [{}] * n_features
    if not len(names) == len(types) == len(encodings) == n_features:
        raise ValueError("feature names, types and categories differ in number")
    return tuple(
        BoosterFeature(name, kind == "c", _stored_categories(encoding) if kind == "c" else ())
        for name, kind, encoding in zip(names, types, encodings, strict=True)
    )


def _stored_categories(encoding: dict[str, Any]) -> tuple[bytes | int, ...]:
    values = np.asarray(encoding.get("values", ()))
    if "offsets" not in encoding:
        return tuple(values.astype(np.int64).tolist())
    # Names are one run of signed bytes, cut at the offsets.
    run = values.astype(np.int8).tobytes()
    return tuple(run[start:end] for start, end in pairwise(encoding["offsets"].tolist()))
