"""
Packs a fitted model with the files that the service reads beside it.

`card.json` says what the model is, `profile.json` how its features were distributed, and
`golden.json` how XGBoost itself answered some instances, so that the service can prove it
answers them alike.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import xgboost

from app.artifacts import Card, DataDescription, GoldenRows, write_artifact
from app.profile import MAX_PROFILED_FEATURES, CategoryProfile, NumberProfile, ReferenceProfile
from model.datasets.dataset import FeatureColumn, encode_categories
from model.datasets.split import Split
from model.project import ModelDescription
from model.registry.provenance import library_versions
from model.training.fit import BOOSTER_FILE, FittedModel
from model.training.task import Task

N_GOLDEN_ROWS = 200
_N_EXAMPLE_ROWS = 3


@dataclass(frozen=True)
class ModelPackage:
    """
    All of a model version, before a registry knows it.

    Attributes
    ----------
    booster : xgboost.Booster
    booster_sha256 : str
        Of the file that the booster saves itself as.
    features : sequence of FeatureColumn
    example : pandas.DataFrame, shape (n_example_rows, n_features)
        Instances for a page to show.
    extra_files : list of pathlib.Path
    classes : sequence of str or None
        Of which a prediction has one number each.
    """

    booster: xgboost.Booster
    booster_sha256: str
    features: Sequence[FeatureColumn]
    example: pd.DataFrame
    extra_files: list[Path]
    classes: Sequence[str] | None = None


def pack_model(
    folder: Path,
    model: FittedModel,
    split: Split,
    fit_predictions: npt.NDArray[np.float32],
    description: ModelDescription,
    task: Task,
    data: DataDescription,
    metrics: Mapping[str, float],
    commit: str | None,
) -> ModelPackage:
    """
    Write the files of a model version.

    Parameters
    ----------
    folder : pathlib.Path
        An empty folder for the files; must outlive the package.
    model : FittedModel
    split : Split
    fit_predictions : numpy.ndarray of float32, shape (n_fit_rows,) or (n_fit_rows, n_classes)
        What the model answers the rows it was fitted on.
    description : ModelDescription
    task : Task
    data : app.artifacts.DataDescription
    metrics : mapping of str to float
    commit : str or None
    """
    booster_sha256 = _digest_booster(model.booster, folder)
    card = Card(
        task=task.name,
        prediction=description.prediction,
        decision_threshold=task.decision_threshold,
        classes=None if task.classes is None else list(task.classes),
        categories={name: list(known) for name, known in model.categories.items()},
        unknown_category=description.unknown_category,
        booster_sha256=booster_sha256,
        data=data,
        git_commit=commit,
        metrics=dict(metrics),
        libraries=library_versions(),
        created_at=datetime.now(UTC).isoformat(timespec="seconds"),
    )
    later = pd.concat([split.stop.features, split.test.features], ignore_index=True)
    golden = answer_golden_rows(model, choose_golden_rows(later, model.categories))
    artifacts = {
        "card.json": card,
        "profile.json": profile_training(model, split.fit.features, fit_predictions, task.classes),
        "golden.json": golden,
    }
    for name, artifact in artifacts.items():
        write_artifact(artifact, folder / name)
    # MLflow writes a missing value as NaN, which is not JSON: rows without one, if there are any.
    whole = split.fit.features.dropna()
    example = (split.fit.features if whole.empty else whole).head(_N_EXAMPLE_ROWS)
    return ModelPackage(
        model.booster,
        booster_sha256,
        description.features,
        example.reset_index(drop=True),
        [folder / name for name in artifacts],
        task.classes,
    )


def importances(booster: xgboost.Booster) -> dict[str, float]:
    """Total gain of each feature, most important first; 0 for a feature that no tree asks."""
    gains = booster.get_score(importance_type="total_gain")
    # Typed as a list too, which only a linear booster gives.
    every = {name: float(np.sum(gains.get(name, 0.0))) for name in booster.feature_names or ()}
    return dict(sorted(every.items(), key=lambda item: -item[1]))


def choose_golden_rows(features: pd.DataFrame, categories: Mapping[str, Sequence[str]]) -> pd.DataFrame:
    """
    Choose rows spread over time, with every way of being missing among them.

    Of each feature that is ever missing, and of each with a category that the booster does not
    know, the first such row is taken; the others lie evenly between the first and the last row.
    """
    wanted: set[int] = set()
    for name in features.columns:
        absent = features[name].isna().to_numpy()
        unknown = ~absent & ~features[name].isin(categories[name]).to_numpy() if name in categories else ~absent & False
        wanted.update(int(np.flatnonzero(mask)[0]) for mask in (absent, unknown) if mask.any())
    # Row 0 comes first in any case: a page shows it as an example, and unknown categories open later.
    n_even = max(1, N_GOLDEN_ROWS - len(wanted))
    even = np.linspace(0, len(features) - 1, min(n_even, len(features))).astype(int)
    return features.iloc[sorted(wanted.union(even.tolist()))].reset_index(drop=True)


def answer_golden_rows(model: FittedModel, rows: pd.DataFrame) -> GoldenRows:
    """Record how XGBoost answers instances, written as a caller would send them."""
    return GoldenRows(
        instances=[_to_instance(rows, position) for position in range(len(rows))],
        margins=model.predict(rows, margins=True).astype(float).tolist(),
        predictions=model.predict(rows).astype(float).tolist(),
    )


def profile_training(
    model: FittedModel,
    features: pd.DataFrame,
    predictions: npt.NDArray[np.float32],
    classes: Sequence[str] | None,
) -> ReferenceProfile:
    """
    Profile the fitted rows: at most 100 features, the most important ones, and the prediction.

    Of several classes that is how often each was the most probable one.
    """
    encoded = encode_categories(features, model.categories)
    profiles: list[NumberProfile | CategoryProfile] = []
    for name in list(importances(model.booster))[:MAX_PROFILED_FEATURES]:
        if name in model.categories:
            known = model.categories[name]
            profiles.append(CategoryProfile.of(name, encoded[name].cat.codes.to_numpy(), known))
        else:
            profiles.append(NumberProfile.of(name, features[name].to_numpy(dtype=np.float64)))
    prediction = (
        NumberProfile.of("prediction", predictions)
        if classes is None
        else CategoryProfile.of("prediction", predictions.argmax(axis=1), list(classes))
    )
    return ReferenceProfile(features=profiles, prediction=prediction, n_rows=len(features))


def _digest_booster(booster: xgboost.Booster, folder: Path) -> str:
    path = folder / BOOSTER_FILE
    booster.save_model(path)
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _to_instance(rows: pd.DataFrame, position: int) -> dict[str, Any]:
    """One row as the JSON object of ``POST /predict``: a missing value is null."""
    values = {str(name): rows[name].iloc[position] for name in rows.columns}
    return {
        name: None if pd.isna(value) else value if isinstance(value, str) else value.item()
        for name, value in values.items()
    }
