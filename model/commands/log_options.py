"""The options of the commands that read logs, which are read without importing anything that takes time."""

from __future__ import annotations

from argparse import ArgumentParser, ArgumentTypeError
from pathlib import Path

from model.observed.period import read_time


def add_drift_options(parser: ArgumentParser) -> None:
    """Add those of ``python -m model drift`` to its parser."""
    _add_log_options(parser, "was told", "; - reads standard input")
    parser.add_argument("--model", metavar="NAME", help="where the logs have several registered models")
    parser.add_argument("--version", help="of the model, where the logs have several")
    parser.add_argument("--html", type=Path, metavar="FILE", help="write a page with charts")
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")


def add_outcomes_options(parser: ArgumentParser) -> None:
    """Add those of ``python -m model outcomes`` to its parser."""
    _add_log_options(parser, "came as feedback", "")
    parser.add_argument(
        "--output", type=Path, metavar="FILE", help="write each outcome with its prediction, as log lines"
    )
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")


def add_retrain_options(parser: ArgumentParser) -> None:
    """Add those of ``python -m model retrain`` to its parser."""
    _add_log_options(parser, "was told, or came as feedback,", "")
    parser.add_argument(
        "--data-until",
        metavar="MONTH",
        help="the last month whose outcomes are known; data.until of params.yaml by default",
    )
    parser.add_argument("--data", type=Path, metavar="DIR", help="read the data's files from this folder")
    parser.add_argument("--json", action="store_true", help="print the report as JSON")


def add_trace_options(parser: ArgumentParser) -> None:
    """Add those of ``python -m model trace`` to its parser."""
    parser.add_argument("id", metavar="ID", help="`trace.id` or `http.request.id` of a line, such as Kibana shows")
    _add_source(parser, "")


def read_reason(text: str) -> str:
    """An option's reason, which has to be one; raises `argparse.ArgumentTypeError`."""
    if not text.strip():
        raise ArgumentTypeError("say why, for those who ask later")
    return text


def _add_log_options(parser: ArgumentParser, told: str, more: str) -> None:
    _add_source(parser, more)
    parser.add_argument(
        "--since", type=read_time, metavar="TIME", help=f"only what {told} from then on: 2026-11-29, or 7d (ago)"
    )
    parser.add_argument("--until", type=read_time, metavar="TIME", help=f"only what {told} before")


def _add_source(parser: ArgumentParser, more: str) -> None:
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument("logs", nargs="*", default=[], metavar="LOG", help=f"log files, compressed (.gz) or not{more}")
    source.add_argument(
        "--elasticsearch",
        metavar="URL",
        help="read the data streams there instead; ELASTICSEARCH_API_KEY, or ELASTICSEARCH_USERNAME and _PASSWORD, and "
        "ELASTICSEARCH_CA_CERT say how",
    )
