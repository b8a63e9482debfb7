"""``python -m model train``: the project from end to end, in one process or with a cluster's help."""

from __future__ import annotations

import os
from argparse import Namespace
from collections.abc import Mapping
from contextlib import nullcontext
from dataclasses import replace

from app.registry.store import registry_uri, tracking_uri, without_credentials
from model.commands.dask_options import open_cluster
from model.names import CHAMPION, MODEL_NAME, find_champion
from model.parameters import read_options, read_parameters
from model.progress import Progress, quieten_libraries


def run(options: Namespace) -> int:
    """Train, and say what came of it; the exit code."""
    parameters = replace(read_parameters(), train=read_options(options))
    uri = tracking_uri(os.environ)
    if options.if_missing and (version := find_champion(registry_uri(os.environ))):
        print(without_credentials(f"{MODEL_NAME}@{CHAMPION} is version {version} at {uri}; nothing to train"))
        return 0
    progress = Progress()
    progress.say("importing pandas and XGBoost")
    quieten_libraries()
    from model.pipeline.steps import train
    from model.project import load_project

    with nullcontext() if options.dask is None else open_cluster(options.dask, progress) as cluster:
        trained = train(load_project(), parameters, options.data, uri, not options.no_alias, progress, cluster)
    registered, metrics = trained.registered, trained.metrics
    progress.say("done")
    step = (
        "make run serves the champion" if registered.alias else f"python -m model gate {registered.version} judges it"
    )
    alias = f", alias {registered.alias}" if registered.alias else f"; the alias {CHAMPION} was not moved"
    print(
        f"\n{registered.name} version {registered.version}{alias}\n"
        f"run {registered.run_id}\n"
        f"test: {_list_figures(metrics, 'test_')}\n\n"
        f"next: make mlflow-ui shows the run, its metrics and plots; {step}"
    )
    return 0


def _list_figures(metrics: Mapping[str, float], prefix: str) -> str:
    figures = {name.removeprefix(prefix): value for name, value in metrics.items() if name.startswith(prefix)}
    return ", ".join(f"{name.replace('_', ' ')} {value:.4f}" for name, value in figures.items())
