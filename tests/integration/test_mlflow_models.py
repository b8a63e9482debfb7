"""What MLflow writes is what the service reads: the files, and the answers."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xgboost
import yaml

from app.mlmodel import read_model_folder
from app.model_version import ModelVersion
from app.registry.registry import MlflowRegistry
from tests.boosters import INPUTS, ModelFolderBuilder, make_table, make_target, to_instances
from tests.equality import assert_same_bits, fit_early_stopped
from tests.integration.mlflow_store import LoggedModel, MlflowStore
from tests.processes import PROJECT, clean_environment
from tests.services import FakeRegistry, run_service


def predict(registry: MlflowRegistry, uri: str, instances: list[dict[str, Any]], tmp_path: Path) -> list[Any]:
    """The service's answers, with the model version as the registry gives it."""

    class Resolved(FakeRegistry):
        def resolve(self, uri: str) -> ModelVersion:
            return registry.resolve(uri)

        def fetch(self, version: ModelVersion) -> Path:
            return registry.fetch(version)

    with run_service(Resolved(tmp_path), tmp_path / "log", model_uri=uri) as service:
        return service.predict(*instances)


def test_mlflow_writes_what_the_tests_write(
    store: MlflowStore, logged: LoggedModel, champion: ModelFolderBuilder, tmp_path: Path
) -> None:
    """The folders that unit and service tests serve hold the same as MLflow's, in all that the service reads."""
    mlflows = read_model_folder(store.place_of(logged))
    ours = read_model_folder(champion.write(tmp_path / "model"))
    assert ours.booster.name == mlflows.booster.name
    assert ours.booster.read_bytes() == mlflows.booster.read_bytes()
    assert ours.is_scikit_learn_wrapper == mlflows.is_scikit_learn_wrapper
    assert ours.inputs == mlflows.inputs
    assert ours.input_example is mlflows.input_example is None
    assert mlflows.run_id == logged.run_id
    for name in ("card.json", "golden.json"):
        assert ours.extra_file(name).is_file()
        assert mlflows.extra_file(name).is_file()


def test_mlflow_writes_the_keys_that_the_service_relies_on(store: MlflowStore, logged: LoggedModel) -> None:
    """A new MLflow that lays its file out otherwise fails here first."""
    document = yaml.safe_load((store.place_of(logged) / "MLmodel").read_text(encoding="utf-8"))
    flavor = document["flavors"]["xgboost"]
    assert {name: flavor[name] for name in ("data", "model_class", "model_format")} == {
        "data": "model.ubj",
        "model_class": "xgboost.core.Booster",
        "model_format": "ubj",
    }
    assert [
        {name: column[name] for name in INPUTS[0]} for column in json.loads(document["signature"]["inputs"])
    ] == INPUTS


@pytest.mark.filterwarnings("ignore:Operation with range is deprecated")  # of MLflow's own use of pandas
def test_an_input_example_of_mlflows_is_the_models_example(
    store: MlflowStore, registry: MlflowRegistry, champion: ModelFolderBuilder, tmp_path: Path
) -> None:
    """The first row of the frame that was logged stands in the docs and can be posted."""
    table = champion.table.dropna().head(2).astype({"carrier": str}).round(3)
    logged = store.log(champion.booster, "exemplary", input_example=table)
    folder = read_model_folder(store.place_of(logged))
    assert folder.input_example == to_instances(table)[0]
    assert len(predict(registry, "models:/exemplary/1", to_instances(table), tmp_path)) == 2


def test_a_booster_answers_as_when_mlflow_loads_it(
    store: MlflowStore, registry: MlflowRegistry, logged: LoggedModel, tmp_path: Path
) -> None:
    """The same bits as ``mlflow.xgboost.load_model(...).predict`` on a frame with the full lists of categories."""
    table = make_table(n_rows=300, seed=11)
    with store.selected() as mlflow:
        loaded = mlflow.xgboost.load_model("models:/flight-delay@champion")
    expected = loaded.predict(xgboost.DMatrix(table, enable_categorical=True))
    assert_same_bits(predict(registry, "models:/flight-delay@champion", to_instances(table), tmp_path), expected)


@pytest.mark.parametrize("name", ["XGBClassifier", "XGBRegressor"])
def test_a_wrapper_with_early_stopping_answers_as_when_mlflow_loads_it(
    store: MlflowStore, registry: MlflowRegistry, tmp_path: Path, name: str
) -> None:
    """``predict_proba`` of the wrapper that MLflow loads, which forgets the rounds after the best one."""
    wrapper, table = fit_early_stopped(name, "gbtree")
    store.log(wrapper, name)
    with store.selected() as mlflow:
        loaded = mlflow.xgboost.load_model(f"models:/{name}/1")
    expected = loaded.predict_proba(table)[:, 1] if name == "XGBClassifier" else loaded.predict(table)
    all_rounds = loaded.get_booster().predict(xgboost.DMatrix(table, enable_categorical=True))
    assert not np.allclose(expected, all_rounds, atol=0.01)
    assert_same_bits(predict(registry, f"models:/{name}/1", to_instances(table), tmp_path), expected)


def test_a_wrapper_of_several_classes_answers_with_all_their_probabilities(
    store: MlflowStore, registry: MlflowRegistry, tmp_path: Path
) -> None:
    """One list an instance, in the order of the classes."""
    table = make_table(300, seed=4)
    wrapper = xgboost.XGBClassifier(n_estimators=5, max_depth=3, enable_categorical=True, n_jobs=1)
    wrapper.fit(table, make_target(table) + (table["hour"] > 18))
    store.log(wrapper, "classes")
    expected = wrapper.predict_proba(table)
    assert expected.shape == (300, 3)
    assert_same_bits(predict(registry, "models:/classes/1", to_instances(table), tmp_path), expected)


IMPORTS = """
import json, sys
from pathlib import Path
from app.processes import hide_unneeded_libraries
hide_unneeded_libraries()  # as `treeserve serve` does before it imports XGBoost
from app.registry.registry import MlflowRegistry
from tests.services import run_service
registry = MlflowRegistry(sys.argv[1], Path(sys.argv[2]) / "cache")
with run_service(registry, Path(sys.argv[2]) / "log") as service:
    service.predict({"carrier": "UA", "hour": 17})
    service.log_lines(1)
    for path in ("/model", "/openapi.json", "/docs", "/metrics"):
        assert service.client.get(path).status_code == 200
print(json.dumps(sorted(name for name, module in sys.modules.items() if getattr(module, "__file__", None))))
"""


def test_the_serving_process_never_imports_what_only_training_needs(
    store: MlflowStore, logged: LoggedModel, tmp_path: Path
) -> None:
    """From the URI to the answer: nothing of MLflow, pandas, SciPy or scikit-learn, which the image has not."""
    ended = subprocess.run(
        [sys.executable, "-c", IMPORTS, store.uri, str(tmp_path)],
        cwd=PROJECT,
        env=clean_environment(tmp_path),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    imported = {name.partition(".")[0] for name in json.loads(ended.stdout.splitlines()[-1])}
    assert "xgboost" in imported
    assert imported & {"mlflow", "pandas", "pyarrow", "scipy", "sklearn", "sqlalchemy", "matplotlib"} == set()
