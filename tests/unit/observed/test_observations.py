"""What a scrape reads of the observed profiles, whatever features and categories are called."""

from __future__ import annotations

import json
import statistics
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from prometheus_client import CollectorRegistry

from app.exposition import Family, Format, write
from app.metrics import Metrics, make_collectors
from app.model_version import ModelVersion
from app.observed.observations import Observations
from app.predictor import Predictor
from app.workers.totals import add_up
from tests.boosters import make_model, train_booster
from tests.exposed_metrics import read_text

CARRIERS = ['say "no"', "back\\slash", "two\nlines", "Zürich 東京", "100 %", "%s", "}"]
NAMES = ['a "b"', "c\\d", "e\nf", "größe %d"]
Labels = frozenset[tuple[str, str]]


@pytest.fixture(scope="module")
def predictor(tmp_path_factory: pytest.TempPathFactory) -> Predictor:
    """Of a model whose names all have to be escaped."""
    rng = np.random.default_rng(0)
    table = pd.DataFrame(
        {
            NAMES[0]: pd.Categorical(rng.choice(CARRIERS, 400), categories=CARRIERS),
            **{name: rng.normal(size=400) for name in NAMES[1:]},
        }
    )
    target = (table[NAMES[1]] > 0).astype(int).to_numpy()
    folder = make_model(
        booster=train_booster(table, target),
        table=table,
        inputs=None,
        card={"categories": {NAMES[0]: CARRIERS}},
        with_golden=False,
        with_profile=True,
    ).write(tmp_path_factory.mktemp("nasty") / "model")
    version = ModelVersion("nasty", 'v"1\\', None, None, str(folder), is_immutable=True)
    return Predictor.load(folder, version)


def observe(predictor: Predictor, n_rows: int) -> tuple[Metrics, Observations]:
    """A process's metrics after some rows."""
    metrics = Metrics(CollectorRegistry())
    observations = Observations(metrics, lambda _: None)
    observations.keep([predictor])
    profile = observations.of(predictor)
    assert profile is not None
    matrix = np.random.default_rng(n_rows).normal(size=(n_rows, 4)).astype(np.float32)
    matrix[:, 0] = np.arange(n_rows) % len(CARRIERS)
    profile.observe([matrix], [predictor.forest.predictions(matrix)])
    return metrics, observations


def expected(observations: Observations, predictor: Predictor) -> dict[str, dict[Labels, float]]:
    """What the profile counts, and what training did, by their labels."""
    profile = observations.of(predictor)
    assert profile is not None
    found: dict[str, dict[Labels, float]] = {}
    columns = [("feature", {"feature": column.name}, column, counts) for column, counts in profile.features()]
    for kind, named, column, counts in [*columns, ("prediction", {}, *profile.predictions())]:
        for label, share, count in zip(column.labels, column.shares, counts.tolist(), strict=True):
            labels = frozenset((named | {"bin": label, "version": 'v"1\\'}).items())
            found.setdefault(f"treeserve_{kind}_observations_total", {})[labels] = count
            found.setdefault(f"treeserve_{kind}_reference_ratio", {})[labels] = share
    return found


def read(families: list[Family], form: Format) -> dict[str, dict[Labels, float]]:
    """The samples of observed profiles, as Prometheus reads them."""
    found: dict[str, dict[Labels, float]] = {}
    for family in read_text(write(families, form).decode(), form):
        for sample in family.samples:
            if "_reference_ratio" in sample.name or "_observations_total" in sample.name:
                own = found.setdefault(sample.name, {})
                assert frozenset(sample.labels.items()) not in own
                own[frozenset(sample.labels.items())] = sample.value
    return found


@pytest.mark.parametrize("form", Format)
def test_prometheus_reads_what_was_counted(predictor: Predictor, form: Format) -> None:
    """Bin by bin, by names that have to be escaped."""
    metrics, observations = observe(predictor, 70)
    found = read(metrics.take(), form)
    assert found == expected(observations, predictor)
    by_carrier = {
        dict(labels)["bin"]: n
        for labels, n in found["treeserve_feature_observations_total"].items()
        if dict(labels)["feature"] == NAMES[0]
    }
    assert by_carrier == dict.fromkeys(CARRIERS, 10) | {"(unseen)": 0, "(missing)": 0}


@pytest.mark.parametrize("form", Format)
def test_processes_are_added_up(predictor: Predictor, form: Format) -> None:
    """Counts are, the training's shares are not; of a process that is gone the counts stay."""
    (one, counted), (other, _), (gone, _) = observe(predictor, 7), observe(predictor, 14), observe(predictor, 700)
    taken = [
        [Family.from_json(family) for family in json.loads(json.dumps(each.take()))] for each in (one, other, gone)
    ]
    departed = add_up([taken[2]], are_gone=True)
    found = read(add_up([departed, *taken[:2]]), form)
    shares = {name: own for name, own in expected(counted, predictor).items() if name.endswith("_ratio")}
    assert {name: own for name, own in found.items() if name.endswith("_ratio")} == shares
    for name, n_features in (("feature", 4), ("prediction", 1)):
        assert sum(found[f"treeserve_{name}_observations_total"].values()) == n_features * (7 + 14 + 700)
    assert read(departed, form).keys() == {name for name in found if name.endswith("_total")}


def test_two_versions_are_told_apart(predictor: Predictor) -> None:
    """As champion and canary count at the same time, and whoever answers no more is forgotten."""
    metrics, observations = observe(predictor, 7)
    other = replace(predictor, version=replace(predictor.version, version="2"))
    observations.keep([predictor, other])
    both = read(metrics.take(), Format.PROMETHEUS)["treeserve_prediction_observations_total"]
    by_version = dict.fromkeys(('v"1\\', "2"), 0.0)
    for labels, n in both.items():
        by_version[dict(labels)["version"]] += n
    assert by_version == {'v"1\\': 7, "2": 0}
    observations.keep([other])
    kept = read(metrics.take(), Format.PROMETHEUS)["treeserve_prediction_observations_total"]
    assert {dict(labels)["version"] for labels in kept} == {"2"}


@pytest.mark.alone
def test_a_scrape_of_a_hundred_features_holds_nobody_up(tmp_path: Path) -> None:
    """It takes little more than one of none; through the client library's own metrics it took twenty times as long."""
    rng = np.random.default_rng(0)
    table = pd.DataFrame({f"feature_{n}": rng.normal(size=300) for n in range(100)})
    booster = train_booster(table, (table["feature_0"] > 0).astype(int).to_numpy(), rounds=2)
    card: dict[str, object] = {"categories": {}}
    folder = make_model(
        booster=booster, table=table, inputs=None, card=card, with_golden=False, with_profile=True
    ).write(tmp_path / "model")
    version = ModelVersion("wide", "1", None, None, str(folder), is_immutable=True)
    metrics = Metrics(make_collectors())
    observations = Observations(metrics, lambda _: None)

    def measure(*, has_features: bool) -> float:
        began_s = time.perf_counter()
        text = write(metrics.take(), Format.OPEN_METRICS)
        took_s = time.perf_counter() - began_s
        assert (text.count(b"treeserve_feature_observations_total{") > 1000) is has_features
        return took_s

    without_s = statistics.median(measure(has_features=False) for _ in range(30))
    observations.keep([Predictor.load(folder, version)])
    assert statistics.median(measure(has_features=True) for _ in range(30)) < 5 * without_s
