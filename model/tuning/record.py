"""
A search in MLflow: one run for the search, and below it one for each set of parameters that was measured.

These runs are all that a search knows: whatever ended it, it goes on from them.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field, fields
from enum import StrEnum
from typing import Any

from matplotlib.figure import Figure

from model.errors import RegistryUnusable
from model.parameters import TrainingParameters
from model.registry.registration import RECIPE_TAG, Experiment
from model.tuning.trial import Curves

_MOST_METRICS = 1_000  # that MLflow takes in one request
_STUDY, _ROLE, _NUMBER, _STATE, _N_STEPS = "study", "role", "number", "state", "path_steps"
_PARENT = "mlflow.parentRunId"
_ROUND_SCORE = "round_score_window_"  # and the window's number, from 1


class Role(StrEnum):
    """What a run below a search's is for."""

    TRIAL = "trial"
    PRESENT = "present"  # the parameters of params.yaml, to compare with
    CHECK = "check"  # the best or the present ones, with another seed


@dataclass(frozen=True)
class Measurement:
    """
    A run below a search's that has ended by itself.

    Attributes
    ----------
    run_id : str
    role : Role
    number : int
        Of its kind, from 0.
    recipe : str
        Names all that its figures follow from.
    parameters : TrainingParameters
    curves : list of list of float
        The stopping metric after each round, window by window.
    n_steps : int
        Of its path.
    is_pruned : bool
    """

    run_id: str
    role: Role
    number: int
    recipe: str
    parameters: TrainingParameters
    curves: Curves
    n_steps: int
    is_pruned: bool


@dataclass(frozen=True)
class Findings:
    """What is logged as a run ends."""

    metrics: Mapping[str, float] = field(default_factory=dict)
    tags: Mapping[str, str] = field(default_factory=dict)
    figures: Mapping[str, Figure] = field(default_factory=dict)
    texts: Mapping[str, str] = field(default_factory=dict)


class SearchRecord:
    """
    What searches have left in an experiment.

    Parameters
    ----------
    experiment : Experiment
        That searches are logged into, and nothing else.
    """

    def __init__(self, experiment: Experiment) -> None:
        self._experiment = experiment

    def open_search(self, study: str, parameters: Mapping[str, object], tags: Mapping[str, str]) -> tuple[str, bool]:
        """
        Begin a search, or find the one that was begun.

        Parameters
        ----------
        study : str
            A digest of all that the search follows from.
        parameters : mapping of str to a plain value
            The same, for a person.
        tags : mapping of str to str

        Returns
        -------
        str
            The run's id. What an earlier process left running below it is marked as killed.
        bool
            Whether it has ended before.
        """
        with self._experiment.asking() as client:
            runs = self._search(client, f"tags.{_STUDY} = '{study}'")
            if not runs:
                named = {_STUDY: study, **tags}
                return self._create_run(client, f"search {study[:8]}", named, parameters), False
            run_id = str(runs[0].info.run_id)
            for run in self._list_below(client, run_id):
                if run.info.status == "RUNNING":
                    client.set_terminated(run.info.run_id, "KILLED")
            return run_id, runs[0].info.status == "FINISHED"

    def read_below(self, search_id: str) -> list[Measurement]:
        """All that has ended by itself below a search, in the order of their numbers."""
        with self._experiment.asking() as client:
            ended = [_read(client, run) for run in self._list_below(client, search_id) if run.info.status == "FINISHED"]
        return sorted(ended, key=lambda measurement: measurement.number)

    def find(self, recipe: str) -> Measurement | None:
        """The longest curves that are known of a recipe, from whichever search."""
        with self._experiment.asking() as client:
            runs = self._search(client, f"tags.{RECIPE_TAG} = '{recipe}' and attributes.status = 'FINISHED'")
            longest = max(runs, key=lambda run: int(run.data.tags[_N_STEPS]), default=None)
            return None if longest is None else _read(client, longest)

    def begin(
        self, search_id: str, name: str, role: Role, number: int, recipe: str, parameters: TrainingParameters
    ) -> str:
        """Begin a run below a search; its id."""
        with self._experiment.asking() as client:
            client.update_run(search_id, status="RUNNING")
            tags = {_PARENT: search_id, _ROLE: role.value, _NUMBER: str(number), RECIPE_TAG: recipe}
            return self._create_run(client, name, tags, asdict(parameters))

    def log_rounds(self, run_id: str, window: int, first: int, scores: Sequence[float]) -> None:
        """Log the stopping metric in a window, from its `first` round on; both count from 1."""
        from mlflow.entities import Metric

        now_ms = _now_ms()
        name = f"{_ROUND_SCORE}{window}"
        metrics = [Metric(name, score, now_ms, step) for step, score in enumerate(scores, first)]
        with self._experiment.asking() as client:
            for at in range(0, len(metrics), _MOST_METRICS):
                client.log_batch(run_id, metrics=metrics[at : at + _MOST_METRICS])

    def end_measurement(self, run_id: str, n_steps: int, is_pruned: bool, findings: Findings) -> None:
        """Log what came of a run below a search, and mark it as finished, and as pruned if it was."""
        if is_pruned:
            with self._experiment.asking() as client:
                name = client.get_run(run_id).info.run_name
                client.update_run(run_id, name=f"{name}, pruned")
        state = {_STATE: "pruned" if is_pruned else "whole", _N_STEPS: str(n_steps)}
        self.end(run_id, Findings(findings.metrics, {**findings.tags, **state}, findings.figures, findings.texts))

    def end(self, run_id: str, findings: Findings) -> None:
        """Log what came of a run, and last of all mark it as finished: what is finished is built upon."""
        from mlflow.entities import Metric, RunTag

        now_ms = _now_ms()
        metrics = [Metric(name, value, now_ms, 0) for name, value in findings.metrics.items()]
        tags = [RunTag(name, text) for name, text in findings.tags.items()]
        with self._experiment.asking() as client:
            client.log_batch(run_id, metrics=metrics, tags=tags)
            for file, figure in findings.figures.items():
                client.log_figure(run_id, figure, file, save_kwargs={"dpi": 120})
            for file, text in findings.texts.items():
                client.log_text(run_id, text, file)
            client.set_terminated(run_id)

    @contextmanager
    def marked(self, run_id: str) -> Iterator[None]:
        """Mark a run as killed or failed if what is done for it is."""
        try:
            yield
        except BaseException as error:
            status = "KILLED" if isinstance(error, KeyboardInterrupt) else "FAILED"
            with suppress(RegistryUnusable), self._experiment.asking() as client:
                client.set_terminated(run_id, status)
            raise

    def _search(self, client: Any, filter_string: str) -> list[Any]:
        """Every run that fits, the oldest first."""
        runs: list[Any] = []
        token = None
        while True:
            page = client.search_runs(
                [self._experiment.id], filter_string, order_by=["attributes.start_time ASC"], page_token=token
            )
            runs.extend(page)
            token = page.token
            if not token:
                return runs

    def _list_below(self, client: Any, search_id: str) -> list[Any]:
        return self._search(client, f"tags.`{_PARENT}` = '{search_id}'")

    def _create_run(self, client: Any, name: str, tags: Mapping[str, str], parameters: Mapping[str, object]) -> str:
        from mlflow.entities import Param

        run_id = str(client.create_run(self._experiment.id, tags=dict(tags), run_name=name).info.run_id)
        client.log_batch(run_id, params=[Param(name, str(value)) for name, value in parameters.items()])
        return run_id


def _read(client: Any, run: Any) -> Measurement:
    run_id, tags, told = str(run.info.run_id), run.data.tags, run.data.params
    n_windows = sum(name.startswith(_ROUND_SCORE) for name in run.data.metrics)
    return Measurement(
        run_id=run_id,
        role=Role(tags[_ROLE]),
        number=int(tags[_NUMBER]),
        recipe=tags[RECIPE_TAG],
        parameters=TrainingParameters(
            **{spec.name: spec.metadata["type"](told[spec.name]) for spec in fields(TrainingParameters)}
        ),
        curves=[_read_curve(client, run_id, window) for window in range(1, n_windows + 1)],
        n_steps=int(tags[_N_STEPS]),
        is_pruned=tags[_STATE] == "pruned",
    )


def _read_curve(client: Any, run_id: str, window: int) -> list[float]:
    history = client.get_metric_history(run_id, f"{_ROUND_SCORE}{window}")
    return [metric.value for metric in sorted(history, key=lambda metric: int(metric.step))]


def _now_ms() -> int:
    return int(time.time() * 1_000)
