"""From what the registry names to what serves: one way up, and whatever fails on it changes nothing."""

from __future__ import annotations

import logging
import shutil
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import CollectorRegistry

from app import evaluation
from app import rollout as module
from app.compatibility import Interface
from app.errors import ModelError, ModelNotFound, ModelNotReady, ModelUnfit, ModelUriInvalid, RegistryUnreachable
from app.metrics import Metrics
from app.model_version import ModelVersion, Role
from app.preparation.last_verified import LastVerified
from app.preparation.prepare import prepare
from app.preparation.prepared import Prepared
from app.rollout import Rollout, Watch
from app.standing import Standing
from tests.boosters import make_model, make_table, make_target, train_booster

URI = "models:/flight-delay@champion"
PINNED = "models:/flight-delay/7"


@dataclass
class Registry:
    """Names `version`, or raises `error`."""

    version: ModelVersion
    error: Exception | None = None
    n_asked: int = 0

    def resolve(self, uri: str) -> ModelVersion:
        self.n_asked += 1
        if self.error is not None:
            raise self.error
        return self.version

    def fetch(self, version: ModelVersion) -> Path:
        return Path(version.source)


@dataclass
class Setting:
    """A watch and a rollout with their parts; `failing` says which versions cannot be prepared, and why."""

    folder: Path
    registry: Registry
    uri: str = URI
    role: Role = Role.CHAMPION
    failing: dict[str, Exception] = field(default_factory=dict)
    keeps: Interface | None = None
    prepared: list[str] = field(default_factory=list)
    collectors: CollectorRegistry = field(default_factory=CollectorRegistry)

    def __post_init__(self) -> None:
        self.metrics = Metrics(self.collectors)
        self.last_verified = LastVerified(self.folder, "store")
        self.rollout = Rollout(self.metrics)
        self.watch = self.make_watch()

    def make_watch(self) -> Watch:
        """Another one, as of a process that starts anew."""
        return Watch(
            self.role, self.uri, self.registry, self.prepare, self.last_verified, self.metrics, lambda: self.keeps
        )

    def prepare(self, version: ModelVersion) -> Prepared:
        self.prepared.append(version.version)
        if version.version in self.failing:
            raise self.failing[version.version]
        return prepare(version, self.registry, [self.folder / "prepared"])

    def look(self, *, at_once: bool = False) -> Standing:
        """One look at the registry, and whoever serves follows it."""
        standing = self.watch.check(at_once=at_once)
        self.rollout.follow(self.role, standing)
        return standing

    def name(self, number: str) -> None:
        """Move the alias."""
        self.registry.version = replace(self.registry.version, version=number)

    def sample(self, metric: str, **labels: str) -> float | None:
        return self.collectors.get_sample_value(metric, labels)


@pytest.fixture
def setting(version: ModelVersion, tmp_path: Path) -> Setting:
    """The champion is version 7 of the model that most tests use."""
    return Setting(tmp_path, Registry(version))


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    """Let time pass."""
    now = [1000.0]
    monkeypatch.setattr("time.monotonic", lambda: now[0])
    return lambda seconds: now.__setitem__(0, now[0] + seconds)


def test_before_the_first_look_nothing_is_ready(setting: Setting) -> None:
    """A caller is told to come back."""
    with pytest.raises(ModelNotReady, match="is being loaded"):
        _ = setting.rollout.current


def test_what_the_alias_names_serves(setting: Setting, version: ModelVersion) -> None:
    """Prepared once, however often the registry says the same."""
    for _ in range(3):
        standing = setting.look()
    assert setting.rollout.current.version == version
    assert standing.is_confirmed
    assert setting.prepared == ["7"]
    assert setting.sample("treeserve_registry_checks_total", outcome="answered") == 3
    assert setting.sample("treeserve_swaps_total", role="champion") == 0


def test_a_moved_alias_changes_what_serves_and_a_moved_back_one_rolls_back(setting: Setting) -> None:
    """Who held the old predictor keeps it; what was prepared before is there at once."""
    setting.look()
    first = setting.rollout.current
    setting.name("8")
    setting.look()
    assert (first.version.version, setting.rollout.current.version.version) == ("7", "8")
    setting.name("7")
    setting.look()
    assert setting.rollout.current.version.version == "7"
    assert setting.sample("treeserve_swaps_total", role="champion") == 2


def test_metrics_say_what_serves_alone(setting: Setting) -> None:
    """And what it cost to get there."""
    setting.look()
    setting.name("8")
    setting.look()
    labels = {"role": "champion", "name": "flight-delay", "alias": "champion", "run_id": "a" * 32}
    assert setting.sample("treeserve_model_info", **labels, version="8") == 1
    assert setting.sample("treeserve_model_info", **labels, version="7") is None
    duration_s = setting.sample("treeserve_model_load_duration_seconds")
    assert duration_s is not None
    assert 0 < duration_s < 20


def test_the_log_says_what_serves(setting: Setting, caplog: pytest.LogCaptureFixture) -> None:
    """In words, and in fields to search for."""
    with caplog.at_level(logging.INFO):
        setting.look()
        setting.name("8")
        setting.look()
    assert "flight-delay version 7 serves as champion, 4 features, evaluated by kernel" in caplog.text
    assert "flight-delay version 8 serves as champion in place of version 7" in caplog.messages[-1]
    assert vars(caplog.records[-1])["ecs"] == {"treeserve.model.name": "flight-delay", "treeserve.model.version": "8"}


def test_a_kernel_that_differs_is_a_warning_and_a_metric(
    setting: Setting, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """It serves, with XGBoost's answers, and should be reported."""
    monkeypatch.setattr(evaluation, "_count_differences", lambda *_: 1)
    with caplog.at_level(logging.INFO):
        setting.look()
    assert "evaluated by xgboost (the kernel" in caplog.text
    assert caplog.records[-1].levelname == "WARNING"
    assert "please report it with the model" in caplog.messages[-1]
    assert setting.sample("treeserve_kernel_disagrees") == 1


@pytest.mark.parametrize("kind", [ModelNotFound, RegistryUnreachable, RuntimeError, KeyError])
def test_a_registry_that_does_not_say_changes_nothing(
    setting: Setting, kind: type[Exception], caplog: pytest.LogCaptureFixture
) -> None:
    """It is told once, counted each time, and forgotten when the registry answers."""
    setting.look()
    setting.registry.error = kind("no answer")
    for _ in range(3):
        standing = setting.look()
    assert setting.rollout.current.version.version == "7"
    assert standing.trouble is not None
    assert not standing.is_confirmed
    outcome = "answered" if kind is ModelNotFound else "failed"
    assert setting.sample("treeserve_registry_checks_total", outcome=outcome) == 3 + (outcome == "answered")
    assert len([record for record in caplog.records if "version 7 serves on; " in record.getMessage()]) == 1
    setting.registry.error = None
    assert setting.look().is_confirmed
    assert setting.prepared == ["7"]


def test_staleness_counts_from_the_last_word(clock: Callable[[float], None], setting: Setting) -> None:
    """An alert on it tells of an outage and of a promotion in vain."""
    clock(5)
    assert setting.sample("treeserve_registry_staleness_seconds") == 5
    setting.look()
    clock(7)
    assert setting.sample("treeserve_registry_staleness_seconds") == 7
    setting.look()
    setting.registry.error = RegistryUnreachable("x")
    clock(100)
    setting.look()
    assert setting.sample("treeserve_registry_staleness_seconds") == 100
    setting.registry.error, setting.failing = None, {"8": ModelUnfit("x")}
    setting.look()
    assert setting.sample("treeserve_registry_staleness_seconds") == 0
    setting.name("8")
    clock(50)
    setting.look()
    assert setting.sample("treeserve_registry_staleness_seconds") == 50


def test_a_pinned_version_grows_not_stale(
    clock: Callable[[float], None], version: ModelVersion, tmp_path: Path
) -> None:
    """It is asked once."""
    setting = Setting(tmp_path, Registry(version), PINNED)
    setting.look()
    clock(500)
    assert setting.sample("treeserve_registry_staleness_seconds") == 0


def test_a_version_that_cannot_serve_is_rejected_and_the_old_one_stays(
    clock: Callable[[float], None], setting: Setting, caplog: pytest.LogCaptureFixture
) -> None:
    """It is tried again later and later, or when an operator asks; with the reason kept."""
    setting.look()
    setting.name("8")
    setting.failing["8"] = ModelUnfit("golden row 3")
    standing = setting.look()
    assert standing.trouble is not None
    assert (standing.trouble.version, standing.trouble.reason) == ("8", "golden row 3")
    assert setting.rollout.current.version.version == "7"
    assert "flight-delay version 7 serves on; flight-delay version 8 is rejected: golden row 3" in caplog.messages
    assert setting.sample("treeserve_rejections_total", role="champion", reason="ModelUnfit") == 1
    tried = ["7", "8"]
    for pause_s, is_tried in [(14, False), (2, True), (29, False), (2, True), (59, False), (2, True), (500, True)]:
        clock(pause_s)
        setting.look()
        tried += ["8"] * is_tried
        assert setting.prepared == tried, pause_s
    setting.look(at_once=True)
    assert setting.prepared == [*tried, "8"]
    setting.failing.clear()
    assert setting.look(at_once=True).is_confirmed
    assert setting.rollout.current.version.version == "8"


def test_another_version_than_the_rejected_is_tried_at_once(setting: Setting) -> None:
    """Whoever has mended it need not wait."""
    setting.look()
    setting.failing["8"] = ModelUnfit("x")
    setting.name("8")
    setting.look()
    setting.name("9")
    assert setting.look().is_confirmed
    assert setting.rollout.current.version.version == "9"


def test_an_alias_that_moves_back_leaves_no_trouble(setting: Setting) -> None:
    """What was rejected is nobody's wish any more."""
    setting.look()
    setting.failing["8"] = ModelUnfit("x")
    setting.name("8")
    setting.look()
    setting.name("7")
    assert setting.look().is_confirmed


def other_model(folder: Path) -> Path:
    """A model without `wind`."""
    table = make_table().drop(columns="wind")
    booster = train_booster(table, make_target(make_table()))
    return make_model(booster=booster, table=table, inputs=None).write(folder)


def test_a_changed_signature_is_rejected_unless_callers_are_ready(
    setting: Setting, version: ModelVersion, tmp_path: Path
) -> None:
    """They send what the old one wants; the text says what it would refuse and what to set."""
    setting.look()
    setting.keeps = setting.watch.interface
    setting.registry.version = replace(version, version="8", source=str(other_model(tmp_path / "m")))
    trouble = setting.look().trouble
    assert trouble is not None
    assert "'wind' is gone" in trouble.reason
    assert "TREESERVE_SIGNATURE_POLICY=any" in trouble.reason
    assert setting.rollout.current.version.version == "7"
    setting.keeps = None
    assert setting.look(at_once=True).is_confirmed
    assert setting.rollout.current.version.version == "8"


def test_a_start_without_the_registry_serves_what_was_verified_last(
    setting: Setting, caplog: pytest.LogCaptureFixture
) -> None:
    """Unconfirmed, until the registry says the same or something else."""
    setting.look()
    setting.registry.error = RegistryUnreachable("no answer")
    setting.watch, setting.rollout = setting.make_watch(), Rollout(Metrics(CollectorRegistry()))
    standing = setting.look()
    assert setting.rollout.current.version.version == "7"
    assert not standing.is_confirmed
    assert f"flight-delay version 7 serves on; TREESERVE_MODEL_URI={URI}: no answer" in caplog.messages
    setting.registry.error = None
    setting.name("8")
    assert setting.look().is_confirmed
    assert setting.rollout.current.version.version == "8"


def test_a_start_with_a_version_that_cannot_serve_falls_back(setting: Setting) -> None:
    """As the processes do that were running when the alias was moved."""
    setting.look()
    setting.name("8")
    setting.failing["8"] = ModelUnfit("x")
    setting.watch, setting.rollout = setting.make_watch(), Rollout(Metrics(CollectorRegistry()))
    standing = setting.look()
    assert setting.rollout.current.version.version == "7"
    assert standing.trouble is not None
    assert standing.trouble.version == "8"


def test_nothing_is_fallen_back_to_that_cannot_serve_either(setting: Setting) -> None:
    """The version verified last is the very one that fails now, or its files are gone."""
    setting.look()
    setting.watch, setting.rollout = setting.make_watch(), Rollout(Metrics(CollectorRegistry()))
    setting.failing["7"] = ModelUnfit("another XGBoost reads it otherwise")
    assert setting.look().prepared is None
    assert setting.prepared == ["7", "7"]
    setting.registry.error = RegistryUnreachable("x")
    assert setting.look().prepared is None
    with pytest.raises(ModelNotReady, match="No model version serves: x"):
        _ = setting.rollout.current


def test_a_first_start_that_fails_says_why(setting: Setting, caplog: pytest.LogCaptureFixture) -> None:
    """To the log once, and to whoever asks."""
    setting.registry.error = ModelNotFound("set the alias")
    setting.look()
    standing = setting.look()
    with pytest.raises(ModelNotReady, match="No model version serves: set the alias"):
        _ = setting.rollout.current
    [record] = [record for record in caplog.records if record.levelno == logging.CRITICAL]
    assert record.getMessage() == "no model serves; TREESERVE_MODEL_URI=" + URI + ": set the alias"
    assert vars(record)["ecs"] == {"error.type": "ModelNotFound"}
    assert not standing.is_hopeless  # the alias may be set any time


@pytest.mark.parametrize(
    ("uri", "error", "is_hopeless"),
    [
        (PINNED, ModelNotFound("x"), True),
        (PINNED, ModelUnfit("x"), True),
        (PINNED, RegistryUnreachable("x"), False),
        (PINNED, ModelError("x"), False),
        (URI, ModelUnfit("x"), False),
        (URI, ModelUriInvalid("x"), True),
    ],
)
def test_only_what_nobody_can_mend_from_outside_is_hopeless(
    version: ModelVersion, tmp_path: Path, uri: str, error: ModelError, is_hopeless: bool
) -> None:
    """A process with nothing to wait for ends, and says so by its status."""
    setting = Setting(tmp_path, Registry(version), uri)
    if isinstance(error, ModelUnfit):
        setting.failing["7"] = error
    else:
        setting.registry.error = error
    assert setting.look().is_hopeless is is_hopeless


def test_a_challenger_comes_and_goes_with_its_alias(version: ModelVersion, tmp_path: Path) -> None:
    """Without one nothing is wrong; a registry that does not answer takes none away."""
    setting = Setting(tmp_path, Registry(version, ModelNotFound("no alias")), role=Role.CHALLENGER)
    setting.look()
    assert setting.rollout.challenger is None
    setting.registry.error = None
    setting.look()
    assert setting.rollout.challenger is not None
    assert setting.rollout.predictor is None
    setting.registry.error = RegistryUnreachable("x")
    setting.look()
    assert setting.rollout.challenger is not None
    setting.registry.error = ModelNotFound("no alias")
    setting.look()
    assert setting.rollout.challenger is None
    assert setting.sample("treeserve_model_info", role="challenger", **{}) is None
    setting.registry.error = RegistryUnreachable("x")  # and an outage brings back none that was taken away
    for _ in range(3):
        assert setting.look().prepared is None
    setting.watch = setting.make_watch()
    assert setting.look().prepared is None
    assert setting.last_verified.has_served(setting.uri, setting.registry.version)
    setting.registry.error = None
    assert setting.look().is_confirmed


def test_what_is_gone_is_prepared_again_while_the_registry_is_down(setting: Setting) -> None:
    """Or a worker that takes another's place would have nothing to serve."""
    prepared = setting.look().prepared
    assert prepared is not None
    setting.registry.error = RegistryUnreachable("x")
    prepared.file.unlink()
    assert setting.look().prepared is not None
    assert Rollout(Metrics(CollectorRegistry())).follow(setting.role, setting.watch.standing) is None


def test_what_was_verified_last_is_tried_at_each_look(setting: Setting) -> None:
    """Its first try may have failed in passing."""
    setting.look()
    setting.watch, setting.rollout = setting.make_watch(), Rollout(Metrics(CollectorRegistry()))
    setting.registry.error = ModelNotFound("no alias")
    setting.failing["7"] = ModelError("killed")
    assert setting.look().prepared is None
    setting.failing.clear()
    assert setting.look().prepared is not None
    assert setting.rollout.current.version.version == "7"


def test_what_cannot_be_read_here_leaves_what_serves_and_is_prepared_again(
    setting: Setting, clock: Callable[[float], None], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The file was damaged between, say: at once the first time, and then later and later; told as a rejection."""
    setting.look()
    setting.name("8")

    def fail(prepared: Prepared, _: int | None) -> Any:
        prepared.file.unlink(missing_ok=True)
        raise ModelUnfit("is not whole")

    with monkeypatch.context() as patch:
        patch.setattr(module, "read_prepared", fail)
        for n_times in (1, 2):
            failure = setting.rollout.follow(setting.role, setting.watch.check())
            assert failure == "is not whole"
            setting.watch.distrust(failure)
            if n_times == 2:
                setting.watch.distrust(failure)  # another process tells the same, which changes nothing
                assert setting.watch.is_held_back
            trouble = setting.watch.standing.trouble
            assert trouble is not None
            assert (trouble.version, trouble.reason, trouble.n_times) == ("8", "is not whole", n_times)
    assert setting.rollout.current.version.version == "7"
    assert setting.prepared == ["7", "8", "8"]
    assert setting.sample("treeserve_rejections_total", role="champion", reason="ModelUnfit") == 2
    assert len([message for message in caplog.messages if "cannot serve in this process: is not whole" in message]) == 1
    setting.watch.check()
    assert setting.prepared == ["7", "8", "8"]  # it is too early
    clock(60)
    assert setting.look().is_confirmed
    assert setting.rollout.current.version.version == "8"


def test_a_pinned_version_that_cannot_be_read_is_prepared_again_too(version: ModelVersion, tmp_path: Path) -> None:
    """Though nobody would ask the registry for it any more."""
    setting = Setting(tmp_path, Registry(version), PINNED)
    prepared = setting.look().prepared
    assert prepared is not None
    prepared.file.unlink()
    setting.watch.distrust("another process could not read it")
    assert not setting.watch.standing.is_confirmed
    assert setting.look().is_confirmed
    assert setting.prepared == ["7", "7"]


def test_what_has_served_may_come_back_whatever_came_after_it(
    setting: Setting, version: ModelVersion, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A version with more categories is no contradiction; to roll it back must not be one, after a restart either."""
    setting.look()
    setting.name("8")
    setting.look()
    monkeypatch.setattr("app.compatibility.find_contradictions", lambda *_: ["'carrier' has no category 'UA' any more"])
    setting.watch = setting.make_watch()
    assert setting.look().is_confirmed
    setting.keeps = setting.watch.interface
    setting.name("7")
    assert setting.look().is_confirmed
    setting.name("9")
    trouble = setting.look().trouble
    assert trouble is not None
    assert trouble.kind == "SignatureChanged"


def test_a_challenger_may_not_come_back_for_having_served_elsewhere(
    setting: Setting, version: ModelVersion, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As the champion of another service, with the same cache folder; it has to take what this one's champion does."""
    setting.look()
    monkeypatch.setattr("app.compatibility.find_contradictions", lambda *_: ["'carrier' is gone"])
    setting.role, setting.keeps = Role.CHALLENGER, setting.watch.interface
    setting.watch = setting.make_watch()
    trouble = setting.look().trouble
    assert trouble is not None
    assert trouble.kind == "SignatureChanged"


def test_an_emptied_cache_folder_is_filled_again(setting: Setting) -> None:
    """While the process serves from its memory; another one may start from the folder."""
    prepared = setting.look().prepared
    assert prepared is not None
    prepared.file.unlink()
    setting.look()
    assert prepared.file.is_file()
    assert setting.prepared == ["7", "7"]
    shutil.rmtree(setting.folder / "last_verified")
    setting.look()
    assert setting.last_verified.recall(URI) is not None


def test_a_standing_can_be_told_to_another_process(setting: Setting) -> None:
    """As JSON's own types, and back."""
    confirmed = setting.look()
    setting.name("8")
    setting.failing["8"] = ModelUnfit("x")
    for standing in (Standing(URI), confirmed, setting.look()):
        assert Standing.from_json(standing.to_json()) == standing
