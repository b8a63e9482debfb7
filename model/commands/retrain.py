"""``python -m model retrain``: one step on the way from logs to a new champion, and its report."""

from __future__ import annotations

import json
import os
from argparse import Namespace
from dataclasses import replace
from datetime import UTC, datetime

from app.registry.store import tracking_uri
from model.errors import ParameterInvalid
from model.names import MODEL_NAME
from model.observed.period import Period
from model.parameters import read_parameters
from model.progress import Progress, quieten_libraries
from model.rules import read_gate_rules, read_retraining_rules


def run(options: Namespace) -> int:
    """
    Go one step on.

    Returns
    -------
    int
        0, whatever it was.

    Raises
    ------
    RetrainingRuns
        If another is at work.
    """
    rules, gate_rules = read_retraining_rules(), read_gate_rules()
    parameters = read_parameters()
    if options.data_until:
        parameters = replace(parameters, until=options.data_until)
    if not options.logs and not options.elasticsearch:
        raise ParameterInvalid("the rules are asked of logs: name files, or --elasticsearch URL")
    progress = Progress()
    progress.say("importing pandas and XGBoost")
    quieten_libraries()
    from model.observed.logs import open_logs
    from model.pipeline.steps import read_instances
    from model.project import load_project
    from model.registry.registration import Experiment
    from model.registry.versions import Versions
    from model.retraining.cycle import Cycle
    from model.retraining.lock import locked
    from model.training.fit import check_device

    check_device(parameters.train.device)
    project = load_project()
    experiment = Experiment(tracking_uri(os.environ), MODEL_NAME)
    with locked(experiment, MODEL_NAME) as lock:
        dataset = read_instances(project, options.data, parameters.until, progress)
        report = Cycle(
            project,
            experiment,
            Versions(experiment, MODEL_NAME),
            parameters,
            rules,
            gate_rules,
            dataset,
            f"{project.name_source(options.data)} until {parameters.until}",
            open_logs(options),
            Period(options.since, options.until),
            progress,
            datetime.now(UTC),
        ).run(lock)
        run_id = report.log(experiment)
    progress.say(f"done; the report is in run {run_id}")
    print(json.dumps(report.to_json()) if options.json else f"\n{report.to_markdown().rstrip()}")
    return 0
