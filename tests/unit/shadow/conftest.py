"""What tests of the shadow share: challengers, loaded."""

from __future__ import annotations

import pytest

from app.predictor import Predictor
from tests.challengers import (
    load_challenger,
    write_challenger,
    write_stranger,
)


@pytest.fixture(scope="session")
def challenger(tmp_path_factory: pytest.TempPathFactory) -> Predictor:
    """With the champion's features."""
    return load_challenger(write_challenger(tmp_path_factory.mktemp("challenger") / "model"))


@pytest.fixture(scope="session")
def stranger(tmp_path_factory: pytest.TempPathFactory) -> Predictor:
    """With other features."""
    return load_challenger(write_stranger(tmp_path_factory.mktemp("stranger") / "model"))
