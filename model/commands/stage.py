"""``python -m model stage NAME``: one step of the pipeline, as ``dvc repro`` runs it."""

from __future__ import annotations

from argparse import Namespace

from model.progress import Progress, quieten_libraries


def run(options: Namespace) -> int:
    """Run the stage; the exit code."""
    progress = Progress()
    quieten_libraries()
    from model.pipeline.stages import STAGES
    from model.project import load_project

    STAGES[options.stage](load_project(), progress)
    return 0
