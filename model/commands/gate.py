"""``python -m model gate VERSION``: a verdict on a model version, for a person or a workflow."""

from __future__ import annotations

import os
from argparse import Namespace

from app.registry.store import tracking_uri
from model.names import MODEL_NAME
from model.parameters import read_parameters
from model.progress import Progress, quieten_libraries
from model.rules import read_gate_rules

REFUSED = 3


def run(options: Namespace) -> int:
    """
    Judge it.

    Returns
    -------
    int
        0 if it has passed, 3 if it is refused.

    Raises
    ------
    GateImpossible
        If it cannot be judged.
    """
    parameters, rules = read_parameters(), read_gate_rules()
    progress = Progress()
    progress.say("importing pandas and XGBoost")
    quieten_libraries()
    from model.pipeline.gating import gate
    from model.pipeline.steps import read_instances
    from model.project import load_project
    from model.registry.registration import Experiment
    from model.registry.versions import Versions

    project = load_project()
    versions = Versions(Experiment(tracking_uri(os.environ), MODEL_NAME), MODEL_NAME)
    version = versions.named(options.version)
    dataset = read_instances(project, options.data, parameters.until, progress)
    verdict = gate(project, versions, version, dataset, rules, progress)
    print(f"\n{MODEL_NAME} version {version}\n{verdict.to_markdown()}")
    if verdict.has_passed:
        print(f"\nnext: python -m model promote {version} --why TEXT, or let it shadow first as the alias challenger")
    return 0 if verdict.has_passed else REFUSED
