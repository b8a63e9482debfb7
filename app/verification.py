"""
Is this model version fit to serve? Asked of every predictor before it answers anyone.

Loading has already refused pickles, corrupt files and contradictions between booster,
signature and card; here the model has to answer its own golden rows as it did at training.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from app.artifacts import MAX_GOLDEN_INSTANCES, GoldenRows
from app.errors import ModelUnfit, ServingError
from app.forest.probe import probe_booster
from app.mlmodel import read_model_folder
from app.predictor import Predictor
from app.profile import CategoryProfile
from app.signature import FeatureType

# Of float32 sums taken in another order, or by another version of XGBoost.
RELATIVE_TOLERANCE = 1e-5
ABSOLUTE_TOLERANCE = 1e-6


def verify_files(path: Path) -> None:
    """
    Refuse a model folder whose booster takes down the process that opens it.

    With a card, its digest has the word, when the predictor is loaded. Without one nobody vouches for the file,
    and it is opened in a process of its own first.

    Raises
    ------
    ModelUnfit
    """
    folder = read_model_folder(path)
    if not folder.extra_file("card.json").exists():
        probe_booster(folder.booster)


def verify(predictor: Predictor) -> None:
    """
    Refuse a predictor that does not answer as its model was trained to.

    Raises
    ------
    ModelUnfit
        If a golden row is not valid, or its margin or prediction is out of tolerance.
    """
    if predictor.golden is not None:
        _verify_golden_rows(predictor, predictor.golden)
    _verify_profile(predictor)
    _verify_classes(predictor)


def _verify_golden_rows(predictor: Predictor, golden: GoldenRows) -> None:
    try:
        body = json.dumps({"instances": golden.instances}).encode()
        matrix = predictor.decoder.decode(body, max_instances=MAX_GOLDEN_INSTANCES, unknown_is_missing=True).matrix
        predictions = predictor.forest.predictions(matrix)
    except ServingError as error:
        where = f" ({error.faults[0].pointer}: {error.faults[0].detail})" if error.faults else ""
        raise ModelUnfit(f"golden.json does not fit the model: {error.detail}{where}") from None
    _compare("margin", golden.margins, predictor.forest.margins(matrix))
    _compare("prediction", golden.predictions, predictions)


def _compare(what: str, expected: Sequence[float] | Sequence[Sequence[float]], answered: np.ndarray) -> None:
    try:
        wanted = np.asarray(expected, dtype=np.float64)
    except ValueError:
        raise ModelUnfit(
            f"golden.json has {what}s that are no table: some rows have more classes than others"
        ) from None
    if wanted.shape != answered.shape:
        raise ModelUnfit(f"golden.json has {what}s of shape {wanted.shape}, the model answers {answered.shape}")
    close = np.isclose(answered, wanted, rtol=RELATIVE_TOLERANCE, atol=ABSOLUTE_TOLERANCE)
    if not close.all():
        row = int(np.argmin(close.reshape(len(close), -1).all(axis=1)))
        raise ModelUnfit(
            f"the model answers golden row {row} with the {what} {answered[row]}, and answered {wanted[row]} at "
            f"training; {int(np.sum(~close))} of {close.size} differ: it is not the model that was registered, "
            "or another version of XGBoost reads it otherwise"
        )


def _verify_classes(predictor: Predictor) -> None:
    """One name, and one bin of the prediction's profile, for each number that an instance is answered with."""
    classes = predictor.card.classes if predictor.card else None
    profiled = predictor.profile.prediction if predictor.profile else None
    if classes is None and not isinstance(profiled, CategoryProfile):
        return
    matrix = np.full((1, len(predictor.signature.features)), np.nan, dtype=np.float32)
    shape = predictor.forest.predictions(matrix).shape
    if classes is not None and shape != (1, len(classes)):
        raise ModelUnfit(f"card.json names {len(classes)} classes, and the model answers {_describe(shape)}")
    if isinstance(profiled, CategoryProfile):
        if shape != (1, len(profiled.categories)):
            raise ModelUnfit(
                f"profile.json has predictions of {len(profiled.categories)} classes, and the model answers "
                f"{_describe(shape)}"
            )
        if classes is not None and list(profiled.categories) != classes:
            raise ModelUnfit("profile.json and card.json disagree on the classes")


def _describe(shape: tuple[int, ...]) -> str:
    return "one number an instance" if len(shape) == 1 else f"{shape[1]} numbers an instance"


def _verify_profile(predictor: Predictor) -> None:
    if predictor.profile is None:
        return
    features = {feature.name: feature for feature in predictor.signature.features}
    for profiled in predictor.profile.features:
        feature = features.get(profiled.name)
        if feature is None:
            raise ModelUnfit(f"profile.json describes {profiled.name!r}, which is no feature of the model")
        if (profiled.type == "category") != (feature.type is FeatureType.CATEGORY):
            raise ModelUnfit(
                f"profile.json describes {profiled.name!r} as a {profiled.type}, the model has {feature.type}"
            )
        if profiled.type == "category" and tuple(profiled.categories) != feature.categories:
            raise ModelUnfit(f"profile.json and the model disagree on the categories of {profiled.name!r}")
