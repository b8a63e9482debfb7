"""``GET /model``: what serves, where it comes from, and a body to try it with."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import Any, Literal

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field

from app.artifacts import DataDescription, UnknownCategoryPolicy
from app.model_version import Role
from app.profile import ReferenceProfile
from app.rollout import Rollout
from app.settings import Settings
from app.signature import Category, FeatureType
from app.standing import Standing


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
    classes: list[str] | None = Field(
        description="Where a prediction is one probability a class: their names, in its order. An outcome is the place "
        "of its class here, from 0."
    )


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


class RejectedInfo(BaseModel):
    """A version that the registry names and that does not serve."""

    version: str
    reason: str
    at: str = Field(description="When it was tried last, ISO 8601 in UTC.")


class StandingInfo(BaseModel):
    """How what serves stands to what the registry names."""

    uri: str
    version: str | None = Field(description="The one that serves; null for a challenger that is not there.")
    state: Literal["confirmed", "unconfirmed", "rejected", "absent"] = Field(
        description="`confirmed`: it is what the registry names. `unconfirmed`: the registry does not say. `rejected`: "
        "the registry names another version, which cannot serve. `absent`: the registry names none, and none serves."
    )
    reason: str | None = Field(description="Why it is not confirmed.")
    confirmed_s_ago: float | None = Field(description="Seconds since the registry said so last; null if never.")
    rejected: RejectedInfo | None


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
    rollout: dict[Role, StandingInfo] = Field(description="Champion and, if one is to be tried, challenger.")
    signature: SignatureInfo
    input_example: dict[str, Any] = Field(description="A body that /predict accepts as it is.")
    limits: LimitsInfo
    profile: ReferenceProfile | None = Field(
        description="How the most important features, at most 100, and the prediction were distributed in training; "
        "null for a model version without a profile."
    )
    training: TrainingInfo | None = Field(description="null for a model version without a card.")


def describe_model(rollout: Rollout, settings: Settings) -> ModelInfo:
    """Say what serves; raises `ModelNotReady` if nothing does."""
    predictor = rollout.current
    challenger = rollout.challenger
    versions = {
        Role.CHAMPION: predictor.version.version,
        Role.CHALLENGER: challenger.version.version if challenger else None,
    }
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
            classes=card and card.classes,
        ),
        evaluator=EvaluatorInfo(name=predictor.evaluator.name, reason=predictor.evaluator.reason),
        unknown_category="missing" if predictor.unknown_is_missing(settings.unknown_category) else "reject",
        rollout={role: _describe_standing(standing, versions[role]) for role, standing in rollout.standings.items()},
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
        return describe_model(rollout, settings)

    return router


def _describe_standing(standing: Standing, serves: str | None) -> StandingInfo:
    trouble = standing.trouble
    rejected = None
    if trouble and trouble.version:
        at = datetime.fromtimestamp(trouble.at_s, UTC).isoformat(timespec="seconds")
        rejected = RejectedInfo(version=trouble.version, reason=trouble.reason, at=at)
    since_s = None if standing.confirmed_at_s is None else round(time.monotonic() - standing.confirmed_at_s, 3)
    return StandingInfo(
        uri=standing.uri,
        version=serves,
        state="rejected" if rejected else "absent" if standing.is_absent else "unconfirmed" if trouble else "confirmed",
        reason=trouble and trouble.reason,
        confirmed_s_ago=since_s,
        rejected=rejected,
    )
