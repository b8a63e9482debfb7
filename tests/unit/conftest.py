"""What unit tests share: one small model, trained once, and its files."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import settings

from app.model_version import ModelVersion
from app.predictor import Predictor
from tests.boosters import ModelFolderBuilder, make_model
from tests.exposed_metrics import ExposedMetric, expose

# A busy machine is no fault of the code.
settings.register_profile("without-deadline", deadline=None)
settings.load_profile("without-deadline")


@pytest.fixture(scope="session")
def model() -> ModelFolderBuilder:
    """`carrier` and `hour` required, `temp` and `wind` not."""
    return make_model()


@pytest.fixture(scope="session")
def model_folder(model: ModelFolderBuilder, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The model's files; a test that changes them copies the folder first."""
    return model.write(tmp_path_factory.mktemp("unit") / "model")


@pytest.fixture(scope="session")
def version(model_folder: Path) -> ModelVersion:
    """What a registry would say of `model_folder`."""
    return ModelVersion("flight-delay", "7", "champion", "a" * 32, str(model_folder), is_immutable=True)


@pytest.fixture(scope="session")
def predictor(model_folder: Path, version: ModelVersion) -> Predictor:
    """The model, loaded."""
    return Predictor.load(model_folder, version)


@pytest.fixture(scope="session")
def exposed(version: ModelVersion, tmp_path_factory: pytest.TempPathFactory) -> dict[str, ExposedMetric]:
    """Every metric by its name, those of a reference profile among them."""
    folder = make_model(with_profile=True).write(tmp_path_factory.mktemp("exposed") / "model")
    return expose(Predictor.load(folder, version))
