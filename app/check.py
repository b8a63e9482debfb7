"""``treeserve check``: whether a model version may serve, as the service itself finds out before it does."""

from __future__ import annotations

import os
import sys

from app.errors import ModelError
from app.predictor import Predictor
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
    try:
        predictor = load_verified(uri, settings)
    except ModelError as error:
        print(f"treeserve check: {uri} cannot serve: {error}", file=sys.stderr)
        return 1
    evaluator = predictor.evaluator
    why = f" ({evaluator.reason})" if evaluator.reason else ""
    print(f"{predictor.version} may serve; {evaluator.name} evaluates it{why}")
    return 0


def load_verified(uri: str, settings: Settings) -> Predictor:
    """
    Fetch and verify a model version, and load it, for whoever wants its answers without a server.

    Parameters
    ----------
    uri : str
        As `Settings.model_uri` has it.
    settings : Settings

    Raises
    ------
    ModelError
        If it cannot be had, or may not serve.
    """
    return load_identified(uri, settings)[0]


def load_identified(uri: str, settings: Settings, n_threads: int | None = None) -> tuple[Predictor, str]:
    """
    Do the same, and say what was loaded so that two machines can tell whether they answer alike.

    Parameters
    ----------
    uri : str
    settings : Settings
    n_threads : int or None
        How many threads share the rows of a large matrix; None for one a core.

    Returns
    -------
    app.predictor.Predictor
    str
        Equal only for the same files of a model under the same software on the same kind of machine.

    Raises
    ------
    ModelError
    """
    registry = MlflowRegistry.of_environment(os.environ, settings.cache_dir)
    prepared = Preparation(registry, settings.cache_dir)(registry.resolve(uri))
    return read_prepared(prepared, n_threads), prepared.file.name
