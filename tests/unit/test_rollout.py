"""A model version is resolved, fetched, loaded and verified, and only then serves."""

from __future__ import annotations

import logging
import shutil
import threading
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import CollectorRegistry

from app.artifacts import write_artifact
from app.errors import ModelError, ModelNotFound, ModelNotReady, ModelUnfit, ModelUriInvalid, RegistryUnreachable
from app.metrics import Metrics
from app.model_version import ModelVersion
from app.rollout import Rollout
from app.verdicts import Verdicts
from tests.boosters import ModelFolderBuilder, make_card, write_golden

URI = "models:/flight-delay@champion"


@dataclass
class FakeRegistry:
    """Every URI is `version`, whose files are in its source; `failing` says where it raises `error`."""

    version: ModelVersion
    error: Exception | None = None
    failing: str = "resolve"
    asked: list[Any] = field(default_factory=list)
    gate: threading.Event | None = None

    def resolve(self, uri: str) -> ModelVersion:
        self.asked.append(uri)
        if self.error is not None and self.failing == "resolve":
            raise self.error
        return self.version

    def fetch(self, version: ModelVersion) -> Path:
        self.asked.append(version)
        if self.gate is not None:
            assert self.gate.wait(20)
        if self.error is not None and self.failing == "fetch":
            raise self.error
        return Path(version.source)


@dataclass
class Started:
    """A rollout with its parts."""

    registry: FakeRegistry
    collectors: CollectorRegistry = field(default_factory=CollectorRegistry)
    verdicts: Path = Path("/dev/null")  # where none can be kept

    def __post_init__(self) -> None:
        self.rollout = Rollout(self.registry, URI, Metrics(self.collectors), Verdicts(self.verdicts))

    def refused(self) -> ModelError:
        """Load in vain; the reason."""
        with pytest.raises(ModelError) as caught:
            self.rollout.load()
        return caught.value


@pytest.fixture
def started(version: ModelVersion) -> Started:
    """A rollout of the model that most tests use."""
    return Started(FakeRegistry(version))


def test_before_the_first_load_nothing_is_ready(started: Started) -> None:
    """A caller is told to come back."""
    with pytest.raises(ModelNotReady, match="is being loaded"):
        _ = started.rollout.current
    assert (started.rollout.predictor, started.rollout.failure) == (None, None)


def test_the_version_that_the_uri_names_serves(started: Started, version: ModelVersion) -> None:
    """Asked once, fetched once."""
    started.rollout.load()
    assert started.rollout.current.version == version
    assert started.rollout.failure is None
    assert started.registry.asked == [URI, version]


def test_metrics_say_what_serves_and_what_the_start_cost(started: Started) -> None:
    """Which version answered when is a question to Prometheus."""
    started.rollout.load()
    labels = {"name": "flight-delay", "version": "7", "alias": "champion", "run_id": "a" * 32}
    assert started.collectors.get_sample_value("treeserve_model_info", labels) == 1
    duration_s = started.collectors.get_sample_value("treeserve_model_load_duration_seconds")
    assert duration_s is not None
    assert 0 < duration_s < 20


def test_the_log_says_what_serves(started: Started, caplog: pytest.LogCaptureFixture) -> None:
    """In words, and in fields to search for."""
    with caplog.at_level(logging.INFO):
        started.rollout.load()
    assert "flight-delay version 7 serves, 4 features" in caplog.messages[-1]
    assert vars(caplog.records[-1])["ecs"] == {
        "treeserve.model.name": "flight-delay",
        "treeserve.model.version": "7",
    }


@pytest.mark.parametrize("failing", ["resolve", "fetch"])
@pytest.mark.parametrize("kind", [ModelNotFound, ModelUriInvalid, RegistryUnreachable])
def test_a_registry_that_fails_is_why_nothing_serves(
    started: Started, failing: str, kind: type[ModelError], caplog: pytest.LogCaptureFixture
) -> None:
    """The reason is logged once, kept, and told to whoever asks."""
    started.registry.error, started.registry.failing = kind("set the alias"), failing
    assert started.refused() is started.rollout.failure is started.registry.error
    with pytest.raises(ModelNotReady, match="No model version serves: set the alias"):
        _ = started.rollout.current
    [record] = [record for record in caplog.records if record.levelno == logging.CRITICAL]
    assert record.getMessage() == "no model serves: set the alias"
    assert vars(record)["ecs"] == {"error.type": kind.__name__}
    assert started.collectors.get_sample_value("treeserve_model_load_duration_seconds") == 0


@pytest.mark.parametrize("kind", [RuntimeError, OSError, KeyError])
@pytest.mark.parametrize("failing", ["resolve", "fetch"])
def test_an_error_that_nobody_expected_is_a_failure_too(
    started: Started, failing: str, kind: type[Exception], caplog: pytest.LogCaptureFixture
) -> None:
    """Or the process would neither serve nor end, and nobody would know why."""
    started.registry.error, started.registry.failing = kind("odd"), failing
    failure = started.refused()
    assert started.rollout.failure is failure
    assert "the log says why" in str(failure)
    exc_info = caplog.records[-1].exc_info
    assert exc_info is not None
    assert exc_info[1] is started.registry.error


def test_a_folder_without_a_model_never_serves(started: Started, tmp_path: Path) -> None:
    """The registry named it, and there is nothing in it."""
    started.registry.version = ModelVersion("x", "1", None, None, str(tmp_path), is_immutable=True)
    assert isinstance(started.refused(), ModelUnfit)
    assert started.rollout.predictor is None


def test_a_model_that_fails_verification_never_serves(
    started: Started, model: ModelFolderBuilder, model_folder: Path, tmp_path: Path
) -> None:
    """It loads, and then answers otherwise than at training."""
    folder = shutil.copytree(model_folder, tmp_path / "model")
    golden = write_golden(model.booster, model.table.head(3))
    write_artifact(golden.model_copy(update={"margins": [9.0, 9.0, 9.0]}), folder / "extra_files" / "golden.json")
    write_artifact(make_card(folder / "model.ubj"), folder / "extra_files" / "card.json")
    started.registry.version = ModelVersion("x", "1", None, None, str(folder), is_immutable=True)
    assert "golden row 0" in str(started.refused())
    assert started.rollout.predictor is None


def test_nothing_serves_before_everything_is_verified(started: Started) -> None:
    """A request in the meantime is refused, not answered by half a model."""
    started.registry.gate = threading.Event()
    loading = threading.Thread(target=started.rollout.load)
    loading.start()
    with pytest.raises(ModelNotReady):
        _ = started.rollout.current
    started.registry.gate.set()
    loading.join(20)
    assert started.rollout.current.version.version == "7"
