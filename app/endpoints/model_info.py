"""``GET /model``: what serves, where it comes from, and a body to try it with."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field

from app.artifacts import DataDescription, UnknownCategoryPolicy
from app.predictor import Predictor
from app.profile import ReferenceProfile
from app.rollout import Rollout
from app.settings import Settings
from app.signature import Category, FeatureType


class FeatureInfo(BaseModel):
    """One feature that an instance may have."""

    name: str
    type: FeatureType
    required: bool = Field(description="Whether the name must be present; null means missing either way.")
    categories: list[Category] | None = Field(description="Every value that a category may have.")


class SignatureInfo(BaseModel):
    """The features in the model's own order."""

    features: list[FeatureInfo]


class PredictionInfo(BaseModel):
    """What the model answers."""

    meaning: str | None = Field(description="What one prediction says, in a sentence.")
    objective: str = Field(description="XGBoost's name of what the booster was trained for.")
    decision_threshold: float | None = Field(description="Predictions at or above it mean yes.")


class EvaluatorInfo(BaseModel):
    """What evaluates the model's trees."""

    name: str = Field(description="The compiled kernel and the way it goes, or `xgboost`.")
    reason: str | None = Field(description="Why it is XGBoost; null for the kernel.")


class LimitsInfo(BaseModel):
    """What one request may have; more is refused with 413."""

    max_instances: int
    max_body_bytes: int


class TrainingInfo(BaseModel):
    """Where the model comes from."""

    created_at: str
    git_commit: str | None
    data: DataDescription
    metrics: dict[str, float]
    libraries: dict[str, str]


class ModelInfo(BaseModel):
    """The model version that serves."""

    model_config = ConfigDict(protected_namespaces=())

    name: str
    version: str
    alias: str | None
    run_id: str | None
    task: str | None
    prediction: PredictionInfo
    evaluator: EvaluatorInfo
    unknown_category: UnknownCategoryPolicy = Field(
        description="What an unknown category is: an error, or a missing value."
    )
    signature: SignatureInfo
    input_example: dict[str, Any] = Field(description="A body that /predict accepts as it is.")
    limits: LimitsInfo
    profile: ReferenceProfile | None = Field(
        description="How the most important features, at most 100, and the prediction were distributed in training; "
        "null for a model version without a profile."
    )
    training: TrainingInfo | None = Field(description="null for a model version without a card.")


def describe_model(predictor: Predictor, settings: Settings) -> ModelInfo:
    """Say what a predictor is."""
    card = predictor.card
    return ModelInfo(
        name=predictor.version.name,
        version=predictor.version.version,
        alias=predictor.version.alias,
        run_id=predictor.version.run_id,
        task=card and card.task,
        prediction=PredictionInfo(
            meaning=card and card.prediction,
            objective=predictor.objective,
            decision_threshold=card and card.decision_threshold,
        ),
        evaluator=EvaluatorInfo(name=predictor.evaluator.name, reason=predictor.evaluator.reason),
        unknown_category="missing" if predictor.unknown_is_missing(settings.unknown_category) else "reject",
        signature=SignatureInfo(
            features=[
                FeatureInfo(
                    name=feature.name,
                    type=feature.type,
                    required=feature.required,
                    categories=None if feature.categories is None else list(feature.categories),
                )
                for feature in predictor.signature.features
            ]
        ),
        input_example={"instances": [dict(predictor.example)]},
        limits=LimitsInfo(max_instances=settings.max_instances, max_body_bytes=settings.max_body_bytes),
        profile=predictor.profile,
        training=card
        and TrainingInfo(
            created_at=card.created_at,
            git_commit=card.git_commit,
            data=card.data,
            metrics=card.metrics,
            libraries=card.libraries,
        ),
    )


def model_router(rollout: Rollout, settings: Settings) -> APIRouter:
    """The route of ``GET /model``."""
    router = APIRouter(tags=["model"])

    @router.get(
        "/model", summary="What serves, and a body to try it with", responses={503: {"description": "No model serves."}}
    )
    def get_model() -> ModelInfo:
        return describe_model(rollout.current, settings)

    return router
