"""``python -m model trace``: from the id of a trace or a request to what was asked, answered and trained on."""

from __future__ import annotations

import os
from argparse import Namespace
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from app.ecs import FEEDBACK_DATASET, PREDICTION_DATASET
from app.errors import ModelError
from app.registry.resolve import resolve_model_uri
from app.registry.store import PROJECT_ROOT, registry_uri, tracking_uri, without_credentials
from model.errors import LogUnreadable, NothingObserved
from model.observed.log_lines import LogReader, join_parts
from model.observed.outcomes import Key, join, key_of, settle
from model.registry.provenance import is_locked

if TYPE_CHECKING:
    from model.observed.log_index import LogIndex

_FEATURES = ("treeserve.features.number", "treeserve.features.category", "treeserve.features.other")
_IDS = ("trace.id", "http.request.id")
# Of the request that brought the feedback.
_FEEDBACK_IDS = ("trace.id", "treeserve.feedback.request_id")

Line = Mapping[str, Any]


def run(options: Namespace) -> int:
    """
    Do what the options ask for.

    Returns
    -------
    int
        0.

    Raises
    ------
    LogUnreadable, NothingObserved
    """
    predictions, feedback = _find(options)
    instances = {key_of(line): line for line in sorted(join_parts(predictions), key=_place)}
    if not instances:
        raise NothingObserved(
            f"no prediction, and no feedback to one, has the trace or request id {options.id}; "
            "TREESERVE_PAYLOAD_SAMPLE_RATE may have left it out, or the log begins later"
        )
    outcomes = {key_of(line): line for line in join(settle(feedback), instances.values()).lines}
    try:
        print("\n".join(_describe_requests(instances, outcomes)))
        models = sorted({_model_of(line) for line in instances.values()})
    except KeyError as error:
        raise LogUnreadable(f"a prediction's line is not as a service writes it ({error!r})") from None
    for model, version, run_id in models:
        print("\n".join(["", *_describe_model(model, version, run_id)]))
    return 0


def _find(options: Namespace) -> tuple[list[Line], list[Line]]:
    """The predictions of the requests with the id, and of those to which feedback with the id is, and all feedback."""
    source = _open(options)
    requests = _requests_of(source.lines_with(PREDICTION_DATASET, _IDS, {options.id}))
    if isinstance(source, LogReader):
        source.tell_strange()
    requests |= _requests_of(source.lines_with(FEEDBACK_DATASET, _FEEDBACK_IDS, {options.id}))
    predictions, feedback = (
        list(source.lines_with(dataset, ["http.request.id"], requests))
        for dataset in (PREDICTION_DATASET, FEEDBACK_DATASET)
    )
    return predictions, feedback


def _open(options: Namespace) -> LogReader | LogIndex:
    if options.elasticsearch:
        from model.observed.log_index import LogIndex

        return LogIndex(options.elasticsearch)
    reader = LogReader(options.logs)
    reader.check_files()
    return reader


def _requests_of(lines: Iterable[Line]) -> set[str]:
    return {line["http.request.id"] for line in lines if "http.request.id" in line}


def _place(line: Mapping[str, Any]) -> tuple[str, Key]:
    """Requests by when they were asked, instances as they stand in them; workers write at the same time."""
    return line["@timestamp"], key_of(line)


def _describe_requests(instances: Mapping[Key, Mapping[str, Any]], outcomes: Mapping[Key, Any]) -> Iterator[str]:
    last = None
    for key, line in instances.items():
        if key.request_id != last:
            last = key.request_id
            yield f"request   {last}" + (f"  (trace {line['trace.id']})" if "trace.id" in line else "")
            yield f"asked     {line['@timestamp']}, answered within {line['event.duration'] / 1e6:.3f} ms"
        yield f"instance  {key.instance}: {_describe_features(line)}"
        yield f"          predicted {line['treeserve.prediction']} by version {line['treeserve.model.version']}"
        for other in ("challenger", "champion"):
            if f"treeserve.{other}.prediction" in line:
                version, prediction = (line[f"treeserve.{other}.{name}"] for name in ("version", "prediction"))
                yield f"          version {version}, the {other}, predicts {prediction}"
        if outcome := outcomes.get(key):
            yield f"          came true: {outcome['treeserve.outcome']:g}, observed {outcome['treeserve.observed_at']}"


def _describe_features(line: Mapping[str, Any]) -> str:
    values = {name: value for group in _FEATURES for name, value in line.get(group, {}).items()}
    return ", ".join(f"{name} {value}" for name, value in values.items()) or "no features, or all are hidden"


def _model_of(line: Mapping[str, Any]) -> tuple[str, str, str]:
    return line["treeserve.model.name"], line["treeserve.model.version"], line.get("treeserve.model.run_id") or ""


def _describe_model(model: str, version: str, run_id: str) -> Iterable[str]:
    yield f"model     {model}, version {version}"
    if not run_id:
        yield "run       unknown, for the model version was not served from a registry"
        return
    try:  # which says within seconds where nobody answers, and makes no store
        registered = resolve_model_uri(f"models:/{model}/{version}", registry_uri(os.environ))
    except ModelError as error:
        yield f"run       {run_id}; of what it was, nothing can be said: {without_credentials(str(error))}"
        return
    if registered.run_id != run_id:
        yield f"run       {run_id}, and {without_credentials(tracking_uri(os.environ))} has another version {version}:"
        yield "          MLFLOW_TRACKING_URI names another store than the model version was served from"
        return
    from mlflow import MlflowClient

    found = MlflowClient(tracking_uri(os.environ)).get_run(run_id)
    parameters, tags = found.data.params, found.data.tags
    yield f"run       {run_id} ({found.info.run_name})"
    yield f"          {_list_figures(found.data.metrics)}"
    yield f"data      {parameters.get('data', 'unknown')}, SHA-256 {parameters.get('data_sha256', 'unknown')}"
    commit, dvc = tags.get("git_commit", "unknown"), parameters.get("data_dvc", "unknown")
    yield f"          DVC's digest {dvc}"
    yield f"commit    {commit}"
    if is_locked(PROJECT_ROOT, commit, dvc):
        yield f"again     git checkout {commit} && dvc pull model/data/prepared.parquet"


def _list_figures(metrics: Mapping[str, float]) -> str:
    """How good it was on the test rows, by whatever its task measures."""
    of_test = sorted(name for name in metrics if name.startswith("test_"))
    return ", ".join(f"{name.replace('_', ' ')} {metrics[name]:.4f}" for name in of_test)
