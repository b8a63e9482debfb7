"""The commands of the training side: ``python -m model train``, ``… drift``, ``… outcomes``, ``… trace`` and others."""

from __future__ import annotations

import os
import sys
from argparse import ArgumentParser, Namespace
from collections.abc import Callable, Sequence
from importlib import import_module
from pathlib import Path

from app.errors import ModelError
from app.registry.store import without_credentials
from model.commands.dask_options import add_dask_option, add_score_options
from model.commands.log_options import (
    add_drift_options,
    add_outcomes_options,
    add_retrain_options,
    add_trace_options,
    read_reason,
)
from model.errors import ParameterInvalid, TrainingError
from model.names import CHAMPION, MODEL_NAME, STAGES
from model.parameters import add_options

_USAGE_ERROR = 2  # as argparse itself answers
_INTERRUPTED = 130


def main(arguments: Sequence[str] | None = None) -> int:
    """
    Run one command.

    Returns
    -------
    int
        The exit code: 0 done, 1 it could not be done, 2 the command line is wrong.
    """
    options = _parser().parse_args(arguments)
    try:
        run: Callable[[Namespace], int] = import_module(f"model.commands.{options.command}").run
        return run(options)
    except (TrainingError, ModelError) as error:
        print(without_credentials(f"error: {error}"), file=sys.stderr)
        return _USAGE_ERROR if isinstance(error, ParameterInvalid) else 1
    except BrokenPipeError:  # whoever reads has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except KeyboardInterrupt:
        print("interrupted; nothing was registered", file=sys.stderr)
        return _INTERRUPTED


def _parser() -> ArgumentParser:
    parser = ArgumentParser(prog="python -m model", description="Train and register a model, and watch it.")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    train = commands.add_parser(
        "train",
        help=f"train a model and register it as {MODEL_NAME}",
        description=f"Train on the data that has arrived, measure on the last of it, and register {MODEL_NAME}.",
    )
    add_options(train)
    train.add_argument("--data", type=Path, metavar="DIR", help="read the data's files from this folder")
    train.add_argument("--no-alias", action="store_true", help=f"register, but leave the alias {CHAMPION} where it is")
    train.add_argument("--if-missing", action="store_true", help=f"do nothing if {MODEL_NAME}@{CHAMPION} exists")
    add_dask_option(train, "let the workers of this Dask cluster grow the forest")
    tune = commands.add_parser(
        "tune",
        help="search for better training parameters",
        description="Search on the rows before the test rows, and log every trial. What was measured is known: the "
        "same command goes on where it was interrupted, and more trials add to it. Nothing is registered.",
    )
    tune.add_argument(
        "--trials", type=int, default=40, metavar="N", help="how many, with those of before (default: %(default)s)"
    )
    tune.add_argument("--seed", type=int, default=0, metavar="N", help="of the search (default: %(default)s)")
    tune.add_argument("--data", type=Path, metavar="DIR", help="read the data's files from this folder")
    tune.add_argument("--write", action="store_true", help="put the best into params.yaml, if they are better")
    stage = commands.add_parser(
        "stage",
        help="one step of the pipeline in model/dvc.yaml",
        description="What `dvc repro` runs, each from files to files.",
    )
    stage.add_argument("stage", choices=STAGES)
    gate = commands.add_parser(
        "gate",
        help="judge a model version against the champion, and write down the verdict",
        description="Judge a model version against the champion by the newest rows with outcomes. "
        "The exit code is 3 if it is refused.",
    )
    gate.add_argument("version", metavar="VERSION", help="of the model, or challenger for the one that has that alias")
    gate.add_argument("--data", type=Path, metavar="DIR", help="read the data's files from this folder")
    promote = commands.add_parser(
        "promote",
        help="make a model version the champion",
        description="Move the alias champion, and write down who did it, when and why.",
    )
    promote.add_argument("version", metavar="VERSION", help="of the model, or challenger")
    promote.add_argument("--why", type=read_reason, required=True, metavar="TEXT", help="for those who ask later")
    promote.add_argument("--ungated", action="store_true", help="although the gate has not passed it")
    rollback = commands.add_parser(
        "rollback",
        help="give the alias champion back to the version that had it before",
        description="Move the alias champion back, and write down who did it, when and why.",
    )
    rollback.add_argument("--why", type=read_reason, required=True, metavar="TEXT", help="for those who ask later")
    add_retrain_options(
        commands.add_parser(
            "retrain",
            help="by the logs: train, judge, let shadow and promote a new version where one is called for",
            description="Go one step on: decide on the challenger, or ask the rules and look for one.",
        )
    )
    add_drift_options(
        commands.add_parser(
            "drift",
            help="how far what a service was asked and has answered is from training",
            description="Add up what a service's processes have counted, by their logs, and compare it with training.",
        )
    )
    add_outcomes_options(
        commands.add_parser(
            "outcomes",
            help="what came true of predictions, and how good they were",
            description="Join feedback with predictions, by a service's logs, and say how good they were.",
        )
    )
    add_trace_options(
        commands.add_parser(
            "trace",
            help="what one prediction was made of: its request, model version, training run, data and commit",
            description="Follow a line of a log to its request, and its model version to what it was trained on.",
        )
    )
    add_score_options(
        commands.add_parser(
            "score",
            help="what a model version predicts of Parquet files",
            description="Answer the instances of Parquet files as the service would, file by file.",
        )
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())
