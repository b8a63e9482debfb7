"""
MLflow: logs a training run, registers its model version and moves the alias.

The model is logged in XGBoost's own format with a declared signature, read back from the
artifact store, and only registered if it is the file that was measured.
"""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from app.registry.store import CLIENT_SETTINGS, sqlite_path
from model.errors import RegistryUnusable
from model.registry.logged_model import check_stored, log_model
from model.registry.packaging import ModelPackage

RECIPE_TAG = "recipe"
_SQLITE = "sqlite:///"

_TRAINING_SETTINGS = {
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",  # the command's last lines say it
    "GIT_PYTHON_REFRESH": "quiet",  # MLflow looks for git, and a machine may have none
}


@dataclass(frozen=True)
class RunRecord:
    """
    What a training run leaves in MLflow beside the model.

    Attributes
    ----------
    parameters : mapping of str to a plain value
    metrics : mapping of str to float
    round_scores : sequence of float
        The stopping metric after each round.
    figures : mapping of str to matplotlib.figure.Figure
        By file name.
    tags : mapping of str to str
    """

    parameters: Mapping[str, object]
    metrics: Mapping[str, float]
    round_scores: Sequence[float]
    figures: Mapping[str, Figure]
    tags: Mapping[str, str]


@dataclass(frozen=True)
class RegisteredVersion:
    """The registered model version, and the alias that was moved to it, if one was."""

    name: str
    version: str
    alias: str | None
    run_id: str


@dataclass(frozen=True)
class FinishedRun:
    """A run that came to a model version, and its metrics."""

    registered: RegisteredVersion
    metrics: dict[str, float]


class Experiment:
    """
    An experiment of a tracking server or of the embedded store.

    Attributes
    ----------
    id : str
        MLflow's.
    """

    def __init__(self, tracking_uri: str, experiment: str) -> None:
        """
        Open the experiment, creating it where there is none.

        Raises
        ------
        RegistryUnusable
            If nobody answers, or the store was moved with its clone.
        """
        self._uri = tracking_uri
        with explained(tracking_uri):
            # Its folder must be there before MLflow asks SQLite to make the file.
            if tracking_uri.startswith(_SQLITE):
                _sqlite_file(tracking_uri).parent.mkdir(parents=True, exist_ok=True)
            self._mlflow = load_mlflow()
            self._mlflow.set_tracking_uri(tracking_uri)
            self._client = self._mlflow.MlflowClient()
            self.id = self._open_experiment(experiment)

    @contextmanager
    def asking(self) -> Iterator[Any]:
        """Hand out MLflow's client; what it raises becomes one sentence."""
        with explained(self._uri):
            yield self._client

    def find(self, name: str, recipe: str) -> FinishedRun | None:
        """
        Look for a model version that was made of the same before.

        Parameters
        ----------
        name : str
            Of the registered model.
        recipe : str
            As `model.registry.provenance.digest_recipe` makes it.
        """
        with explained(self._uri):
            runs = self._client.search_runs(
                [self.id], f"tags.`{RECIPE_TAG}` = '{recipe}' and attributes.status = 'FINISHED'"
            )
            for run in runs:
                run_id = str(run.info.run_id)
                for version in self._client.search_model_versions(f"name = '{name}' and run_id = '{run_id}'"):
                    found = RegisteredVersion(name, str(version.version), None, run_id)
                    return FinishedRun(found, dict(run.data.metrics))
        return None

    def register(self, name: str, record: RunRecord, package: ModelPackage) -> RegisteredVersion:
        """
        Log a run with its model, and register the model version; aliases are moved by `Versions`, which tells it.

        Parameters
        ----------
        name : str
            Of the registered model.
        record : RunRecord
        package : ModelPackage

        Raises
        ------
        RegistryUnusable
            If a step fails, or the stored booster is not the one that was measured. A run that
            was begun is marked as failed, and no model version is registered.
        """
        with explained(self._uri):
            with self._mlflow.start_run(experiment_id=self.id, tags=dict(record.tags)) as run:
                run_id = str(run.info.run_id)
                self._log_record(run_id, record)
                model_id = log_model(self._mlflow, run_id, package)
                check_stored(self._mlflow, model_id, package)
            return RegisteredVersion(name, self._create_version(name, run_id, model_id), None, run_id)

    def _open_experiment(self, name: str) -> str:
        # A server knows where its artifacts go. SQLite does not: without a place MLflow would
        # write into whatever folder the command was started in.
        location = _artifact_folder(self._uri, name) if self._uri.startswith(_SQLITE) else None
        experiment = self._client.get_experiment_by_name(name)
        if experiment is None:
            return str(self._client.create_experiment(name, artifact_location=location))
        if experiment.lifecycle_stage != "active":
            raise RegistryUnusable(
                f"the experiment {name!r} was deleted; restore it with "
                f"`mlflow experiments restore -x {experiment.experiment_id}`"
            )
        if location is not None and experiment.artifact_location.rstrip("/") != location:
            raise RegistryUnusable(
                f"the store {_sqlite_file(self._uri)} keeps the files of its models in {experiment.artifact_location}, "
                f"but would now keep them in {location}: it was moved, and its old model versions point to files that "
                f"are no longer there. Move it back, or delete {_sqlite_file(self._uri).parent} and train again"
            )
        return str(experiment.experiment_id)

    def _log_record(self, run_id: str, record: RunRecord) -> None:
        from mlflow.entities import Metric

        self._mlflow.log_params(dict(record.parameters))
        self._mlflow.log_metrics(dict(record.metrics))
        now_ms = self._mlflow.get_run(run_id).info.start_time
        scores = [Metric("round_score", score, now_ms, step) for step, score in enumerate(record.round_scores, 1)]
        most = 1_000  # that MLflow takes in one request
        for first in range(0, len(scores), most):
            self._client.log_batch(run_id, metrics=scores[first : first + most])
        for file, figure in record.figures.items():
            self._mlflow.log_figure(figure, file, save_kwargs={"dpi": 120})

    def create_model(self, name: str, tags: Mapping[str, str]) -> bool:
        """Create a registered model with its tags at once; False where somebody has before."""
        from mlflow.exceptions import MlflowException

        with explained(self._uri):
            try:
                self._client.create_registered_model(name, tags=dict(tags))
            except MlflowException as error:
                if error.error_code != "RESOURCE_ALREADY_EXISTS":
                    raise
                return False
        return True

    def _create_version(self, name: str, run_id: str, model_id: str) -> str:
        self.create_model(name, {})
        created = self._client.create_model_version(name, f"models:/{model_id}", run_id=run_id, model_id=model_id)
        version = str(created.version)
        # By this MLflow's page shows a run's model with its version. `mlflow.register_model` does the
        # same, and reports each step on standard error.
        known_as = [{"name": name, "version": version}]
        self._client.set_logged_model_tags(model_id, {"mlflow.modelVersions": json.dumps(known_as)})
        return version


@contextmanager
def explained(uri: str) -> Iterator[None]:
    """Turn what MLflow and the stores below it raise into one sentence."""
    try:
        yield
    except OSError as error:
        raise RegistryUnusable(f"MLflow at {uri} cannot be used: {error}; is MLFLOW_TRACKING_URI right?") from error
    except ModuleNotFoundError as error:
        raise RegistryUnusable(
            f"MLflow at {uri} keeps its files where only the Python module {error.name!r} can put them: "
            f"install it beside training (pip install {error.name}), or let the server hand them out "
            "(mlflow server --artifacts-destination)"
        ) from error
    except Exception as error:
        if type(error).__module__.partition(".")[0] not in {"mlflow", "sqlalchemy"}:
            raise
        first = (str(error).strip() or type(error).__name__).splitlines()[0]
        # A connection's error goes on with every object below it.
        reason = first.partition(" (Caused by ")[0]
        raise RegistryUnusable(
            f"MLflow at {uri} cannot be used: {reason}; is MLFLOW_TRACKING_URI right, and does it answer?"
        ) from error


def load_mlflow() -> Any:
    """Import MLflow so that it says only what concerns the person who trains."""
    for name, value in (CLIENT_SETTINGS | _TRAINING_SETTINGS).items():
        os.environ.setdefault(name, value)
    import mlflow
    import mlflow.xgboost

    # Its news (tables created, requirements inferred) are steps of its own making.
    logging.getLogger("mlflow").setLevel(logging.WARNING)
    # Each of the retries above; the last one is an error, and told.
    logging.getLogger("urllib3.connectionpool").setLevel(logging.ERROR)
    return mlflow


def _sqlite_file(tracking_uri: str) -> Path:
    return sqlite_path(tracking_uri).absolute()


def _artifact_folder(tracking_uri: str, experiment: str) -> str:
    """Beside the database, which for the embedded store is `.mlflow/artifacts` of the project."""
    return str(_sqlite_file(tracking_uri).parent / "artifacts" / experiment)
