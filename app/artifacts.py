"""
The JSON files that the training side writes beside the booster, and the service reads.

`card.json` says what the model is and how it wants to be served, `golden.json` how XGBoost
itself answered at training. Their JSON schemas stand in ``app/schemas/`` for readers in other
languages. Each file has a `format_version`: an unknown one is refused, never guessed at.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from app.errors import ModelUnfit

MAX_GOLDEN_INSTANCES = 1_000

UnknownCategoryPolicy = Literal["reject", "missing"]


class Artifact(BaseModel):
    """A file of a model version: exactly these fields, never changed after reading."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False, protected_namespaces=())

    format_version: Literal[1] = 1


class DataDescription(BaseModel):
    """Which data the model was trained on."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field(description="What the data is called, with its version.")
    sha256: str = Field(
        description="Digest of the training, stopping and test rows together.", pattern="^[0-9a-f]{64}$"
    )
    dvc: str | None = Field(
        None, description="Digest by which DVC keeps them: of model/data/prepared.parquet.", pattern="^[0-9a-f]{32}$"
    )
    n_rows: int = Field(description="Rows the booster was fitted on.", ge=0)
    first: str = Field(description="Earliest moment in the fitted rows, ISO 8601.")
    last: str = Field(description="Latest moment in the fitted rows, ISO 8601.")


class Card(Artifact):
    """`card.json`: what the model is, where it comes from and how it wants to be served."""

    task: Literal["binary_classification", "multiclass_classification", "regression", "ranking"]
    prediction: str = Field(description="What one prediction means, in a sentence.")
    decision_threshold: float | None = Field(None, description="Predictions at or above it mean yes.")
    classes: list[str] | None = Field(
        None, description="Each class's name, in the order of a prediction's numbers; null where it is not one a class."
    )
    categories: dict[str, list[str] | list[int]] = Field(
        default_factory=dict, description="Each categorical feature's values in code order."
    )
    unknown_category: UnknownCategoryPolicy | None = Field(
        None, description="This model's own default for TREESERVE_UNKNOWN_CATEGORY."
    )
    booster_sha256: str = Field(description="Digest of the booster's file.", pattern="^[0-9a-f]{64}$")
    data: DataDescription
    git_commit: str | None = Field(None, description="Commit of the training code; ends in -dirty if it had changes.")
    metrics: dict[str, float] = Field(default_factory=dict, description="Metrics at training, by name.")
    libraries: dict[str, str] = Field(default_factory=dict, description="Library versions at training.")
    created_at: str = Field(description="When it was trained, ISO 8601 in UTC.")


class GoldenRows(Artifact):
    """`golden.json`: instances, and how XGBoost itself answered them at training."""

    instances: list[dict[str, str | bool | int | float | None]] = Field(min_length=1, max_length=MAX_GOLDEN_INSTANCES)
    margins: list[float] | list[list[float]] = Field(description="Before the objective's output transform.")
    predictions: list[float] | list[list[float]]


ArtifactT = TypeVar("ArtifactT", bound=Artifact)


def read_artifact(kind: type[ArtifactT], path: Path) -> ArtifactT | None:
    """
    Read one file, or None where the model version has no such file.

    Raises
    ------
    ModelUnfit
        If the file is there and is not what its schema says.
    """
    try:
        artifact = kind.model_validate_json(path.read_bytes(), strict=True)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise ModelUnfit(f"{path.name} of the model cannot be read: {error.strerror}") from None
    except ValidationError as error:
        first: Any = error.errors(include_url=False, include_input=False)[0]
        place = "/".join(str(step) for step in first["loc"])
        raise ModelUnfit(f"{path.name} of the model is not valid at /{place}: {first['msg']}") from None
    if "format_version" not in artifact.model_fields_set:
        raise ModelUnfit(f"{path.name} of the model does not say which format_version it is")
    return artifact


def write_artifact(artifact: Artifact, path: Path) -> None:
    """Write one file, in UTF-8 and indented for a person to read."""
    path.write_text(artifact.model_dump_json(indent=1) + "\n", encoding="utf-8")
