"""A real MLflow to log into: its client in this process, on a store or a server of the test's own."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from tests.boosters import INPUTS, ModelFolderBuilder, make_card, write_golden

PIP_REQUIREMENTS = ["xgboost-cpu"]  # given, or MLflow would import the model in a process of its own to find them


def load_mlflow() -> Any:
    """Import MLflow whole. It warns of its own doing as it is imported and maps its tables, and never after."""
    os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import mlflow
        import mlflow.pyfunc
        import mlflow.sklearn
        import mlflow.store.model_registry.sqlalchemy_store
        import mlflow.store.tracking.sqlalchemy_store
        import mlflow.xgboost
    return mlflow


@contextmanager
def restored_tracking_uri() -> Iterator[None]:
    """Undo what sets MLflow's tracking URI, which it keeps in a global and in the environment."""
    before = os.environ.get("MLFLOW_TRACKING_URI")
    try:
        yield
    finally:
        load_mlflow().set_tracking_uri(before)
        if before is None:
            os.environ.pop("MLFLOW_TRACKING_URI", None)


@dataclass
class LoggedModel:
    """A model version, as MLflow names it."""

    name: str
    version: str
    run_id: str
    model_id: str


class MlflowStore:
    """An MLflow that a test may log into, by its tracking URI."""

    def __init__(self, uri: str, artifacts: str | None = None) -> None:
        self.uri = uri
        self._mlflow = load_mlflow()
        self.client = self._mlflow.MlflowClient(tracking_uri=uri, registry_uri=uri)
        self._experiment_id = self.client.create_experiment("tests", artifact_location=artifacts)

    @contextmanager
    def selected(self) -> Iterator[Any]:
        """MLflow with this store as its own."""
        with restored_tracking_uri():
            self._mlflow.set_tracking_uri(self.uri)
            yield self._mlflow

    def log(
        self,
        model: Any,
        name: str = "flight-delay",
        *,
        inputs: Sequence[dict[str, Any]] | None = INPUTS,
        alias: str | None = None,
        flavor: str = "xgboost",
        **options: Any,
    ) -> LoggedModel:
        """Log and register a model, as a training does it."""
        if flavor == "xgboost":
            options = {"model_format": "ubj", **options}
        with self.selected() as mlflow:
            log_model = getattr(mlflow, flavor).log_model
            with mlflow.start_run(experiment_id=self._experiment_id) as run:
                info = log_model(
                    model,
                    name="model",
                    registered_model_name=name,
                    signature=None if inputs is None else declare_signature(inputs),
                    pip_requirements=PIP_REQUIREMENTS,
                    **options,
                )
        version = str(info.registered_model_version)
        if alias is not None:
            self.client.set_registered_model_alias(name, alias, version)
        return LoggedModel(name, version, run.info.run_id, info.model_id)

    def log_with_artifacts(self, model: ModelFolderBuilder, folder: Path, **options: Any) -> LoggedModel:
        """Log a booster with its card and golden rows beside it."""
        from app.artifacts import write_artifact

        folder.mkdir()
        booster_file = folder / "model.ubj"
        model.booster.save_model(booster_file)
        write_artifact(make_card(booster_file), folder / "card.json")
        write_artifact(write_golden(model.booster, model.table.head(20)), folder / "golden.json")
        files = [str(folder / "card.json"), str(folder / "golden.json")]
        return self.log(model.booster, extra_files=files, **options)

    def place_of(self, logged: LoggedModel) -> Path:
        """The folder of a model version's files in a store on this disk."""
        location = self.client.get_logged_model(logged.model_id).artifact_location
        return Path(unquote(urlsplit(location).path))


def declare_signature(inputs: Sequence[dict[str, Any]]) -> Any:
    """MLflow's own object for column specs."""
    from mlflow.models import ModelSignature
    from mlflow.types import ColSpec, Schema

    return ModelSignature(Schema([ColSpec(i["type"], i["name"], required=i["required"]) for i in inputs]))
