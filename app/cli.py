"""The command line: ``treeserve serve``, ``treeserve check`` and ``treeserve bodies``."""

from __future__ import annotations

import argparse
import logging
import os
import signal
import sys
from collections.abc import Sequence

from app import __version__
from app.line_sink import LineSink
from app.processes import hide_unneeded_libraries
from app.service_log import configure_logging
from app.setting_faults import PREFIX, find_unknown_variables
from app.settings import Settings, SettingsInvalid
from app.tracing.environment import find_trouble

log = logging.getLogger(__name__)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; the process's exit status."""
    # Until the service can end in order; Python's own way out would be a traceback through half-done imports.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    parser = argparse.ArgumentParser(
        prog="treeserve",
        description="Serve an XGBoost model from the MLflow registry over REST.",
        epilog="Every setting is an environment variable; treeserve serve --help lists them.",
    )
    parser.add_argument("--version", action="version", version=f"treeserve {__version__}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    serve = commands.add_parser(
        "serve",
        help="serve the model version that TREESERVE_MODEL_URI names",
        description="Serve the model version that TREESERVE_MODEL_URI names.",
        epilog=_list_settings(),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    serve.set_defaults(run=_serve)
    check = commands.add_parser(
        "check",
        help="tell whether a model version may serve",
        description="Fetch and verify a model version as the service does, and say what is found. A service with the "
        "same TREESERVE_CACHE_DIR then starts from there.",
    )
    check.add_argument("uri", nargs="?", metavar="MODEL_URI", help="which one; TREESERVE_MODEL_URI by default")
    check.set_defaults(run=_check)
    bodies = commands.add_parser(
        "bodies",
        help="write request bodies for load tests of a running service",
        description="Write request bodies that the model of a running service accepts, one a line, no two alike, with "
        "values as common as they were in training; the same ones for the same model.",
    )
    bodies.add_argument("url", metavar="URL", help="where the service runs, such as http://127.0.0.1:8080")
    bodies.add_argument("-n", type=_count, default=1000, metavar="N", help="how many bodies [1000]")
    bodies.add_argument("--instances", type=_count, default=1, metavar="N", help="how many instances in each [1]")
    bodies.set_defaults(run=_write_bodies)
    given = parser.parse_args(arguments)
    status: int = given.run(given)
    return status


def _count(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from 1 on")
    return int(text)


def _check(given: argparse.Namespace) -> int:
    try:
        settings = Settings.from_environment(os.environ)
    except SettingsInvalid as error:
        print(f"treeserve check: a setting cannot be used: {error}", file=sys.stderr)
        return 2
    hide_unneeded_libraries()
    from app.check import check

    return check(given.uri or settings.model_uri, settings)


def _write_bodies(given: argparse.Namespace) -> int:
    from app.bodies.drawing import draw_bodies
    from app.bodies.served_model import ask_model
    from app.errors import BodiesUnavailable

    try:
        model = ask_model(given.url)
        with open(1, "wb", closefd=False) as output:
            output.writelines(body + b"\n" for body in draw_bodies(model, given.n, given.instances))
    except BrokenPipeError:  # its reader, such as head, has had enough
        return 0
    except (BodiesUnavailable, OSError) as error:
        told = error.strerror if isinstance(error, OSError) else error
        print(f"treeserve bodies: error: {told}", file=sys.stderr)
        return 1
    return 0


def _serve(_: argparse.Namespace) -> int:
    _open_standard_descriptors()
    standard_output = LineSink(1)
    configure_logging(standard_output)
    try:
        settings = Settings.from_environment(os.environ)
    except SettingsInvalid as error:
        log.critical("a setting cannot be used: %s", error)
        return 2
    for name, meant in find_unknown_variables(os.environ, Settings.model_fields).items():
        log.warning("%s is no setting and is ignored%s", name, f"; did you mean {meant}?" if meant else "")
    if settings.challenger_share and not settings.challenger_uri:
        log.warning("TREESERVE_CHALLENGER_SHARE sends nobody anywhere without TREESERVE_CHALLENGER_URI")
    if trouble := find_trouble(os.environ):
        log.warning("%s", trouble)
    hide_unneeded_libraries()
    # Only now: a setting that cannot be used is told before anything slow is imported.
    from app.serve import serve

    return serve(settings, standard_output)


def _open_standard_descriptors() -> None:
    """Open what the process was started without: a file or socket would get its number, and log lines with it."""
    for descriptor in (0, 1, 2):
        try:
            os.fstat(descriptor)
        except OSError:
            # The lowest number that is free, which is this one.
            os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)


def _list_settings() -> str:
    lines = ["settings (environment variables):"]
    for name, field in Settings.model_fields.items():
        default = "" if field.default_factory or field.default is None else f" [{field.default}]"
        lines.append(f"  {PREFIX}{name.upper()}{default}\n      {field.description}")
    lines.append(
        "\nMLflow's own, such as MLFLOW_TRACKING_URI, are MLflow's; OTEL_EXPORTER_OTLP_ENDPOINT turns traces on."
    )
    return "\n".join(lines)
