"""``treeserve check``: whether a model version may serve, as the service itself finds out before it does."""

from __future__ import annotations

import os
import sys

from app.errors import ModelError
from app.preparation.child import Preparation
from app.preparation.file import read_prepared
from app.registry.registry import MlflowRegistry
from app.settings import Settings


def check(uri: str, settings: Settings) -> int:
    """
    Fetch and verify a model version, and keep what a service on the same cache folder then starts from.

    Parameters
    ----------
    uri : str
        As `Settings.model_uri` has it.
    settings : Settings

    Returns
    -------
    int
        0 if it may serve, 1 if it may not or cannot be had; the reason is on standard error.
    """
    registry = MlflowRegistry.of_environment(os.environ, settings.cache_dir)
    try:
        version = registry.resolve(uri)
        predictor = read_prepared(Preparation(registry, settings.cache_dir)(version))
    except ModelError as error:
        print(f"treeserve check: {uri} cannot serve: {error}", file=sys.stderr)
        return 1
    evaluator = predictor.evaluator
    why = f" ({evaluator.reason})" if evaluator.reason else ""
    print(f"{predictor.version} may serve; {evaluator.name} evaluates it{why}")
    return 0
