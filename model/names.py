"""Which project this is, and what it is called in the registry; read without importing anything slow."""

from __future__ import annotations

from app.errors import ModelNotFound

MODEL_NAME = "flight-delay"  # of the registered model, and of its experiment
PROJECT = "flights"  # the folder beside this file with what is one's own of it; its project.py has `PROJECT`
CHAMPION, CHALLENGER = "champion", "challenger"
CHAMPION_URI = f"models:/{MODEL_NAME}@{CHAMPION}"
STAGES = ("fetch", "validate", "prepare", "train", "evaluate", "register")  # of the pipeline, in their order


def find_champion(uri: str) -> str | None:
    """The version that has the alias in a registry; None if none has."""
    from app.registry.resolve import resolve_model_uri

    try:
        return resolve_model_uri(CHAMPION_URI, uri).version
    except ModelNotFound:
        return None
