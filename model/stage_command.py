"""``python -m model stage NAME``: one step of the pipeline, as ``dvc repro`` runs it."""

from __future__ import annotations

from argparse import Namespace

from model.progress import Progress, quieten_libraries


def run(options: Namespace) -> int:
    """Run the stage; the exit code."""
    progress = Progress()
    quieten_libraries()
    from model.stages import STAGES

    STAGES[options.stage](progress)
    return 0
