"""What drifts is counted in every process, for Prometheus and for the payload log."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from prometheus_client.samples import Sample

from app.artifacts import write_artifact
from app.predictor import Predictor
from app.profile import CategoryProfile, ReferenceProfile
from model.observed.drift import measure_drift
from model.observed.log_lines import LogReader
from tests.boosters import make_model, make_table, to_instances, train_booster
from tests.challengers import load_challenger, write_challenger
from tests.exposed_metrics import read_text
from tests.service.problems import GOOD
from tests.services import FakeRegistry, Service, run_service, wait

TABLE = make_table(n_rows=300, seed=11)
INSTANCES = to_instances(TABLE)


@pytest.fixture
def registry(tmp_path: Path) -> FakeRegistry:
    """Of a model with a reference profile."""
    return FakeRegistry(make_model(with_profile=True).write(tmp_path / "model"))


def observed(service: Service, version: str = "7") -> dict[str, dict[str, float]]:
    """The counts of each feature, and under an empty name those of predictions, that are not 0."""
    found: dict[str, dict[str, float]] = {}
    for sample in read_samples(service):
        if sample.name.endswith("_observations_total") and sample.labels["version"] == version and sample.value:
            found.setdefault(sample.labels.get("feature", ""), {})[sample.labels["bin"]] = sample.value
    return found


def read_samples(service: Service) -> list[Sample]:
    """What Prometheus reads."""
    text = service.client.get("/metrics").text
    return [sample for family in read_text(text) for sample in family.samples]


def ask_every_way(service: Service) -> None:
    """A large batch, and the same rows one by one and in a way that is not plain."""
    service.predict(*INSTANCES)
    for instance in INSTANCES[:70]:
        service.predict(instance)
    text = json.dumps({"instances": INSTANCES[:70]}).replace('"hour"', '"\\u0068our"')
    assert service.client.post("/predict", content=text).status_code == 200


@pytest.mark.parametrize("payload_log", ["a file", "off"])
def test_what_is_asked_and_answered_is_counted(registry: FakeRegistry, tmp_path: Path, payload_log: str) -> None:
    """By whichever way it comes, and whether it is recorded or not."""
    place = str(tmp_path / "log") if payload_log == "a file" else payload_log
    with run_service(registry, tmp_path / "log", payload_log=place) as service:
        ask_every_way(service)
        for _ in wait():
            if sum(observed(service).get("", {}).values()) == 440:
                break
        counts = observed(service)
        assert {name: sum(bins.values()) for name, bins in counts.items()} == dict.fromkeys(
            ("", "carrier", "hour", "temp", "wind"), 440
        )
        n_missing = sum(instance["temp"] is None for instance in [*INSTANCES, *INSTANCES[:70], *INSTANCES[:70]])
        assert counts["temp"]["(missing)"] == n_missing
        by_carrier = [instance["carrier"] for instance in [*INSTANCES, *INSTANCES[:70], *INSTANCES[:70]]]
        assert counts["carrier"] == {name: by_carrier.count(name) for name in sorted(set(by_carrier))}
        shares = {
            sample.labels["bin"]: sample.value
            for sample in read_samples(service)
            if sample.name == "treeserve_feature_reference_ratio" and sample.labels["feature"] == "carrier"
        }
        assert sum(shares.values()) == pytest.approx(1)
        assert shares["(unseen)"] == 0


def test_every_bin_is_there_before_anybody_asks(registry: FakeRegistry, tmp_path: Path) -> None:
    """Prometheus sees no increase in a counter that begins with its first value."""
    with run_service(registry, tmp_path / "log") as service:
        for _ in wait():
            samples = [one for one in read_samples(service) if one.name == "treeserve_feature_observations_total"]
            if samples:
                break
        assert [one.value for one in samples if one.labels["bin"] == "UA"] == [0]


def test_an_unknown_category_is_unseen(registry: FakeRegistry, tmp_path: Path) -> None:
    """And not missing, though it is predicted as that."""
    with run_service(registry, tmp_path / "log", unknown_category="missing") as service:
        service.predict({**GOOD, "carrier": "B6"}, {**GOOD, "carrier": None})
        assert observed(service)["carrier"] == {"(unseen)": 1, "(missing)": 1}


def test_a_model_without_a_profile_counts_nothing(tmp_path: Path) -> None:
    """There is nothing to compare with."""
    registry = FakeRegistry(make_model().write(tmp_path / "model"))
    with run_service(registry, tmp_path / "log") as service:
        ask_every_way(service)
        assert observed(service) == {}


def profile_lines(service: Service) -> list[dict[str, Any]]:
    """Those of the payload log that are so."""
    lines = map(json.loads, service.payload_log.read_text(encoding="utf-8").splitlines())
    return [line for line in lines if line["event.dataset"] == "treeserve.profile"]


def test_the_payload_log_has_the_counts_again_and_again(
    registry: FakeRegistry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each time what has come since, and nothing where nothing has; the last at the end."""
    monkeypatch.setattr("app.main._PROFILE_EVERY_S", 0.2)
    with run_service(registry, tmp_path / "log") as service:
        for n_rows in (3, 2):
            n_before = len(profile_lines(service))
            service.predict(*INSTANCES[:n_rows])
            for _ in wait():
                lines = profile_lines(service)[n_before:]
                if sum(line["treeserve.profile.count"] for line in lines) >= 5 * n_rows:
                    break
        service.predict(INSTANCES[0])
    lines = profile_lines(service)
    counted = np.array([line["treeserve.profile.count"] for line in lines])
    assert counted.sum() == 6 * 5
    assert {line["treeserve.model.version"] for line in lines} == {"7"}
    kinds = {(line["treeserve.profile.kind"], line["treeserve.profile.name"]) for line in lines}
    assert kinds == {("feature", name) for name in ("carrier", "hour", "temp", "wind")} | {("prediction", "prediction")}
    carriers = [line for line in lines if line["treeserve.profile.name"] == "carrier"]
    assert {line["treeserve.profile.bin"] for line in carriers} == {"AA", "DL", "UA", "(unseen)", "(missing)"}
    n_times = len(carriers) // 5
    assert n_times == 3
    assert sum(line["treeserve.profile.reference"] for line in carriers) == pytest.approx(n_times)
    assert service.sample("treeserve_payload_written_total") == 6


def test_a_version_that_answers_no_more_has_a_last_word(registry: FakeRegistry, tmp_path: Path) -> None:
    """Its counts leave the metrics, and stand in the log; a version that stays goes on."""
    with run_service(registry, tmp_path / "log") as service:
        service.predict(GOOD)
        registry.version = "8"
        service.client.post("/model/refresh")
        for _ in wait():
            if service.client.get("/readyz").json()["version"] == "8":
                break
        service.predict(GOOD, GOOD)
        for _ in wait():
            if observed(service, "8"):
                break
        assert observed(service, "7") == {}
        assert observed(service, "8")["carrier"] == {"UA": 2}
        for _ in wait():
            if profile_lines(service):
                break
        assert {line["treeserve.model.version"] for line in profile_lines(service)} == {"7"}


def test_a_canary_counts_for_itself(registry: FakeRegistry, tmp_path: Path) -> None:
    """And a challenger in shadow does not: it would be the champion's drift twice."""
    challenger: Predictor = load_challenger(write_challenger(tmp_path / "challenger", with_profile=True))
    for share, versions in ((0.0, {"7": 40}), (1.0, {"8": 40})):
        with run_service(registry, tmp_path / "log", challenger_share=share) as service:
            service.app.state.rollout.challenger = challenger
            for _ in range(40):
                service.predict(GOOD)
            for _ in wait():
                found = {version: sum(observed(service, version).get("hour", {}).values()) for version in ("7", "8")}
                if sum(found.values()) == 40:
                    break
            assert {version: n for version, n in found.items() if n} == versions


def test_the_command_and_the_predictions_themselves_agree(registry: FakeRegistry, tmp_path: Path) -> None:
    """Drift by what processes have counted is that of all recorded instances, computed by other means."""
    with run_service(registry, tmp_path / "log", unknown_category="missing") as service:
        ask_every_way(service)
        service.predict({**GOOD, "carrier": "B6", "wind": 1e6}, {**GOOD, "temp": -1e6})
        profile = ReferenceProfile.model_validate(service.client.get("/model").json()["profile"])
    reader = LogReader([str(service.payload_log)])
    _, drifts = measure_drift(reader.read("treeserve.profile"))
    lines = list(reader.read("treeserve.prediction"))
    assert len(lines) == 442
    found = {drift.name: drift for drift in drifts}
    for feature in [*profile.features, profile.prediction]:
        if isinstance(feature, CategoryProfile):
            values = pd.Series([line["treeserve.features.category"].get(feature.name) for line in lines], dtype=object)
            is_unseen = ~values.isna() & ~values.isin(feature.categories)
            counts = [*(int((values == name).sum()) for name in feature.categories), int(is_unseen.sum())]
            training = [*feature.counts, 0]
        else:
            told = [
                line["treeserve.prediction"] if feature is profile.prediction
                else line["treeserve.features.number"].get(feature.name)
                for line in lines
            ]  # fmt: skip
            values = pd.Series(told, dtype="float32")
            assert feature.minimum is not None
            assert feature.maximum is not None
            inner = np.array(feature.edges, dtype=np.float32)
            counts = [int((values < np.float32(feature.minimum)).sum())]
            in_range = values[(values >= np.float32(feature.minimum)) & (values <= np.float32(feature.maximum))]
            counts += np.bincount(np.digitize(in_range, inner), minlength=len(inner) + 1).tolist()
            counts.append(int((values > np.float32(feature.maximum)).sum()))
            training = [0, *feature.counts, 0]
        counts.append(int(values.isna().sum()))
        training.append(feature.n_missing)
        shares = np.maximum(np.array(counts) / 442, 1e-4), np.maximum(np.array(training) / sum(training), 1e-4)
        psi = float(((shares[0] - shares[1]) * np.log(shares[0] / shares[1])).sum())
        assert found[feature.name].psi == pytest.approx(psi), feature.name
        assert found[feature.name].observed == pytest.approx([count / 442 for count in counts])
    assert found["carrier"].psi > 0


def test_of_several_classes_the_most_probable_is_counted(tmp_path: Path) -> None:
    """By its name, in batches and in single requests; where the reference is of numbers, none is."""
    table = make_table()
    codes = table["carrier"].cat.codes.to_numpy()
    booster = train_booster(table, codes, {"objective": "multi:softprob", "num_class": 3}, rounds=2)
    folder = make_model(booster=booster, with_profile=False, card={"classes": ["A", "D", "U"]}).write(
        tmp_path / "model"
    )
    profile = ReferenceProfile(
        features=[], prediction=CategoryProfile.of("prediction", codes, ["A", "D", "U"]), n_rows=len(table)
    )
    write_artifact(profile, folder / "extra_files" / "profile.json")
    with run_service(FakeRegistry(folder), tmp_path / "log") as service:
        ask_every_way(service)
        for _ in wait():
            counts = observed(service).get("", {})
            if sum(counts.values()) == 440:
                break
        asked = [*INSTANCES, *INSTANCES[:70], *INSTANCES[:70]]
        by_carrier = [str(instance["carrier"])[0] for instance in asked]
        assert counts == {name: by_carrier.count(name) for name in "ADU"}
        assert service.client.get("/model").json()["prediction"]["classes"] == ["A", "D", "U"]
