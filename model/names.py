"""Which project this is, and what it is called in the registry; read without importing anything slow."""

from __future__ import annotations

from app.errors import ModelNotFound

MODEL_NAME = "flight-delay"  # of the registered model, and of its experiment
PROJECT = "model.flights.project"  # the module whose `PROJECT` says what is one's own of it
CHAMPION, CHALLENGER = "champion", "challenger"
STAGES = ("fetch", "validate", "prepare", "train", "evaluate", "register")  # of the pipeline, in their order


def find_champion(uri: str) -> str | None:
    """The version that has the alias in a registry; None if none has."""
    from app.registry.resolve import resolve_model_uri

    try:
        return resolve_model_uri(f"models:/{MODEL_NAME}@{CHAMPION}", uri).version
    except ModelNotFound:
        return None
