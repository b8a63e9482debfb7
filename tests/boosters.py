"""
Real, tiny boosters in folders laid out as MLflow lays them out.

Importing MLflow takes seconds, so unit and service tests write the folder themselves; an
integration test proves that MLflow writes the same.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import xgboost
import yaml

from app.artifacts import Card, DataDescription, GoldenRows, write_artifact
from app.profile import CategoryProfile, NumberProfile, ReferenceProfile

CARRIERS = ["AA", "DL", "UA"]
INPUTS: list[dict[str, Any]] = [
    {"name": "carrier", "type": "string", "required": True},
    {"name": "hour", "type": "long", "required": True},
    {"name": "temp", "type": "double", "required": False},
    {"name": "wind", "type": "double", "required": False},
]


def make_table(n_rows: int = 400, seed: int = 0, carriers: Sequence[Any] = CARRIERS) -> pd.DataFrame:
    """Rows of a category, an integer and two numbers, some of them missing."""
    rng = np.random.default_rng(seed)
    table = pd.DataFrame(
        {
            "carrier": pd.Categorical(rng.choice(np.array(carriers, dtype=object), n_rows), categories=list(carriers)),
            "hour": rng.integers(0, 24, n_rows),
            "temp": rng.normal(50, 15, n_rows),
            "wind": rng.gamma(2.0, 5.0, n_rows),
        }
    )
    table.loc[rng.random(n_rows) < 0.2, "temp"] = np.nan
    table.loc[rng.random(n_rows) < 0.2, "wind"] = np.nan
    return table


def make_target(table: pd.DataFrame) -> np.ndarray:
    """A yes or no that depends on every feature."""
    signal = (
        table["carrier"].cat.codes * 0.7
        + table["hour"] / 12
        - table["temp"].fillna(50) / 40
        + table["wind"].fillna(10) / 20
    )
    return np.asarray(signal > signal.median(), dtype=np.int64)


def train_booster(
    table: pd.DataFrame, target: np.ndarray, parameters: Mapping[str, Any] | None = None, rounds: int = 12
) -> xgboost.Booster:
    """A real booster, in a fraction of a second."""
    given = {"objective": "binary:logistic", "max_depth": 4, "tree_method": "hist", "nthread": 1, **(parameters or {})}
    return xgboost.train(given, xgboost.DMatrix(table, target, enable_categorical=True), rounds)


def to_instances(table: pd.DataFrame) -> list[dict[str, Any]]:
    """Rows as a client would send them."""
    rows: list[dict[str, Any]] = json.loads(table.to_json(orient="records", double_precision=15))
    return rows


def write_golden(booster: xgboost.Booster, table: pd.DataFrame) -> GoldenRows:
    """How XGBoost itself answers the table."""
    data = xgboost.DMatrix(table, enable_categorical=True)
    return GoldenRows(
        instances=to_instances(table),
        margins=booster.predict(data, output_margin=True).tolist(),
        predictions=booster.predict(data).tolist(),
    )


def make_profile(booster: xgboost.Booster, table: pd.DataFrame) -> ReferenceProfile:
    """How the table's columns and the booster's answers are distributed."""
    return ReferenceProfile(
        features=[
            CategoryProfile.of(str(name), column.cat.codes, column.cat.categories.tolist())
            if isinstance(column.dtype, pd.CategoricalDtype)
            else NumberProfile.of(str(name), column)
            for name, column in table.items()
        ],
        prediction=NumberProfile.of("prediction", booster.predict(xgboost.DMatrix(table, enable_categorical=True))),
        n_rows=len(table),
    )


def make_card(booster_file: Path, **changes: Any) -> Card:
    """A card that is valid for the booster's file."""
    fields: dict[str, Any] = {
        "task": "binary_classification",
        "prediction": "the probability that it happens",
        "decision_threshold": 0.5,
        "categories": {"carrier": CARRIERS},
        "booster_sha256": hashlib.sha256(booster_file.read_bytes()).hexdigest(),
        "data": DataDescription(name="made up", sha256="0" * 64, n_rows=400, first="2013-01-01", last="2013-08-31"),
        "git_commit": "abc123",
        "metrics": {"test_auc": 0.7},
        "libraries": {"xgboost": xgboost.__version__},
        "created_at": datetime.now(UTC).isoformat(),
    }
    return Card.model_validate(fields | changes)


@dataclass
class ModelFolderBuilder:
    """Writes a model folder; a test changes what it wants wrong before it calls `write`."""

    booster: xgboost.Booster
    inputs: list[dict[str, Any]] | None
    table: pd.DataFrame
    booster_name: str = "model.ubj"
    model_class: str = "xgboost.core.Booster"
    card: Mapping[str, Any] | None = None
    with_golden: bool = True
    with_profile: bool = False

    def write(self, folder: Path) -> Path:
        """The folder, with everything in it."""
        extra = folder / "extra_files"
        extra.mkdir(parents=True)
        booster_file = folder / self.booster_name
        self.booster.save_model(booster_file)
        document: dict[str, Any] = {
            "flavors": {
                "xgboost": {
                    "data": self.booster_name,
                    "model_class": self.model_class,
                    "model_format": booster_file.suffix[1:],
                    "code": None,
                },
                "python_function": {"loader_module": "mlflow.xgboost", "data": self.booster_name},
            },
            "model_uuid": f"m-{hashlib.md5(str(folder).encode(), usedforsecurity=False).hexdigest()}",
            "run_id": "f" * 32,
        }
        if self.inputs is not None:
            document["signature"] = {"inputs": json.dumps(self.inputs), "outputs": None, "params": None}
        (folder / "MLmodel").write_text(yaml.safe_dump(document), encoding="utf-8")
        if self.card is not None:
            write_artifact(make_card(booster_file, **self.card), extra / "card.json")
        if self.with_golden:
            write_artifact(write_golden(self.booster, self.table.head(20)), extra / "golden.json")
        if self.with_profile:
            write_artifact(make_profile(self.booster, self.table), extra / "profile.json")
        return folder


def make_model(**changes: Any) -> ModelFolderBuilder:
    """The model most tests use: a category, an integer and two numbers."""
    table = make_table()
    fields: dict[str, Any] = {
        "booster": train_booster(table, make_target(table)),
        "inputs": INPUTS,
        "table": table,
        "card": {},
    }
    return ModelFolderBuilder(**fields | changes)
