"""A quick search on a twentieth of the flights, and all that it leaves in MLflow."""

from __future__ import annotations

import io
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest.mock import patch

from matplotlib.figure import Figure

from model.flights.project import PROJECT
from model.parameters import Parameters
from model.progress import Progress
from model.project import Project
from model.tuning.tune import Found, tune
from tests.integration.mlflow_store import load_mlflow, restored_tracking_uri
from tests.parameters import make_parameters

EXPERIMENT = "flight-delay-search"
QUICK = make_parameters(rounds=40, stopping_rounds=5)
N_TRIALS = 8
_BY_CHANCE = ("seconds", "mlflow.user", "mlflow.source.name", "git_commit")


def search(
    uri: str,
    sample: Path,
    n_trials: int = N_TRIALS,
    *,
    seed: int = 0,
    parameters: Parameters = QUICK,
    project: Project = PROJECT,
) -> Found:
    """Search with few rounds, and leave MLflow's tracking URI as it was. Trials' plots, which take long, are blank."""
    blank = patch("model.tuning.findings.plot_trial", lambda *_: Figure(figsize=(1, 1)))
    with restored_tracking_uri(), blank:
        return tune(project, parameters, sample, uri, n_trials, seed, Progress(io.StringIO()))


def with_values(parameters: Parameters, **values: Any) -> Parameters:
    """Others in params.yaml."""
    return replace(parameters, train=replace(parameters.train, **values))


class Logged:
    """The runs of searches in a store."""

    def __init__(self, uri: str) -> None:
        self.client = load_mlflow().MlflowClient(tracking_uri=uri)
        self._experiment_id = self.client.get_experiment_by_name(EXPERIMENT).experiment_id

    def runs(self, **tags: str) -> list[Any]:
        """Those with these tags, the oldest first."""
        wanted = " and ".join(f"tags.`{name}` = '{value}'" for name, value in tags.items())
        return list(self.client.search_runs([self._experiment_id], wanted, order_by=["attributes.start_time ASC"]))

    def curve(self, run: Any, window: int) -> list[float]:
        """The stopping metric in a window, round by round."""
        history = self.client.get_metric_history(run.info.run_id, f"round_score_window_{window}")
        return [metric.value for metric in sorted(history, key=lambda metric: metric.step)]

    def artifacts(self, run: Any) -> dict[str, bytes]:
        """A run's files by their paths."""
        folder = Path(self.client.download_artifacts(run.info.run_id, ""))
        return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}

    def tell(self) -> list[Any]:
        """All that ended by itself, but for what is not the search's doing: times, ids and places."""
        return sorted(
            (
                run.info.run_name,
                sorted(run.data.params.items()),
                [item for item in sorted(run.data.metrics.items()) if item[0] not in _BY_CHANCE],
                [item for item in sorted(run.data.tags.items()) if item[0] not in {*_BY_CHANCE, "mlflow.parentRunId"}],
                [self.curve(run, window) for window in (1, 2) if f"round_score_window_{window}" in run.data.metrics],
            )
            for run in self.runs()
            if run.info.status == "FINISHED"
        )
