"""The commands of the training side: ``python -m model train``, ``… drift``, ``… outcomes``, ``… trace``."""

from __future__ import annotations

import logging
import os
import sys
from argparse import ArgumentParser, Namespace
from collections.abc import Callable, Sequence
from importlib import import_module
from pathlib import Path

from app.errors import ModelError, ModelNotFound
from app.registry.store import registry_uri, tracking_uri, without_credentials
from model.errors import ParameterInvalid, TrainingError
from model.log_options import add_drift_options, add_outcomes_options, add_trace_options
from model.names import CHAMPION, MODEL_NAME
from model.parameters import add_options, read_options
from model.progress import Progress

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
        if options.command == "train":
            return _train(options)
        run: Callable[[Namespace], int] = import_module(f"model.{options.command}_command").run
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
    parser = ArgumentParser(prog="python -m model", description="Train and register the example model, and watch it.")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    train = commands.add_parser(
        "train",
        help=f"train the flight model and register it as {MODEL_NAME}",
        description=f"Train on the flights of 2013, measure on its last two months, and register {MODEL_NAME}.",
    )
    add_options(train)
    train.add_argument("--data", type=Path, metavar="DIR", help="read the three CSV files from this folder")
    train.add_argument("--no-alias", action="store_true", help=f"register, but leave the alias {CHAMPION} where it is")
    train.add_argument("--if-missing", action="store_true", help=f"do nothing if {MODEL_NAME}@{CHAMPION} exists")
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
    return parser


def _train(options: Namespace) -> int:
    parameters = read_options(options)
    uri = tracking_uri(os.environ)
    if options.if_missing and (version := _find_champion(registry_uri(os.environ))):
        print(without_credentials(f"{MODEL_NAME}@{CHAMPION} is version {version} at {uri}; nothing to train"))
        return 0
    progress = Progress()
    progress.say("importing pandas and XGBoost")
    # XGBoost's threads spin while they wait for each other. Where other processes want the same
    # cores, that made training six times slower; read when XGBoost is imported.
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")
    # On a person's first run it looks at all fonts, and says so where that takes five seconds.
    logging.getLogger("matplotlib.font_manager").setLevel(logging.ERROR)
    from model.flight_delay import train
    from model.tables import find_data

    trained = train(parameters, find_data(options.data), uri, not options.no_alias, progress)
    registered, metrics = trained.registered, trained.metrics
    progress.say("done")
    alias = f", alias {registered.alias}" if registered.alias else f"; the alias {CHAMPION} was not moved"
    print(
        f"\n{registered.name} version {registered.version}{alias}\n"
        f"run {registered.run_id}\n"
        f"test: AUC {metrics['test_auc']:.4f}, log loss {metrics['test_log_loss']:.4f}, "
        f"Brier score {metrics['test_brier']:.4f}, calibration error {metrics['test_calibration_error']:.4f}, "
        f"base rate {metrics['test_base_rate']:.3f}\n\n"
        "next: make mlflow-ui shows the run, its metrics and plots; make run serves the champion"
    )
    return 0


def _find_champion(uri: str) -> str | None:
    from app.registry.resolve import resolve_model_uri

    try:
        return resolve_model_uri(f"models:/{MODEL_NAME}@{CHAMPION}", uri).version
    except ModelNotFound:
        return None


if __name__ == "__main__":
    sys.exit(main())
