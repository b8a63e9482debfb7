"""Every log line is one JSON object in the fields of the Elastic Common Schema."""

from __future__ import annotations

import json
import logging
import os
import sys
from typing import Any

import pytest

from app import __version__
from app.ecs import EcsFormatter, trace_id

TRACE, PARENT = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"


def line(message: str = "hello", *arguments: Any, **more: Any) -> dict[str, Any]:
    """Format one record, and read it back."""
    record = logging.LogRecord("app.x", logging.WARNING, "f.py", 1, message, arguments, more.pop("exc_info", None))
    record.created = 1_700_000_000.25
    vars(record).update(more)
    text = EcsFormatter().format(record)
    assert "\n" not in text
    read: dict[str, Any] = json.loads(text)
    return read


def test_a_line_has_the_fields_that_every_reader_looks_for() -> None:
    """Exactly these, so that no field appears in Elasticsearch that nobody mapped."""
    assert line("hello %s", "you") == {
        "@timestamp": "2023-11-14T22:13:20.250000Z",
        "log.level": "warning",
        "message": "hello you",
        "ecs.version": "8.11.0",
        "service.name": "treeserve",
        "service.version": __version__,
        "event.dataset": "treeserve.service",
        "log.logger": "app.x",
        "process.pid": os.getpid(),
    }


def test_further_fields_are_added_and_may_say_another_dataset() -> None:
    """What is treeserve's own comes by its dotted name."""
    fields = {"event.dataset": "treeserve.prediction", "treeserve.model.version": "7"}
    assert line(ecs=fields).items() >= fields.items()


@pytest.mark.parametrize("text", ["two\nlines", "\x1b[31m\0", "Größe", "\ud800", '"}', "\u2028"])
def test_whatever_is_logged_stays_one_line_of_ascii(text: str) -> None:
    """A reader that splits at line ends, in any encoding, never sees half a line."""
    assert line(text)["message"] == text
    EcsFormatter().format(logging.LogRecord("x", 20, "", 0, text, None, None)).encode("ascii")


def test_an_exception_is_a_field_and_not_further_lines() -> None:
    """Its type can be searched for, and its trace stays with it."""
    try:
        raise ValueError("no\nway")
    except ValueError:
        read = line(exc_info=sys.exc_info())
    assert (read["error.type"], read["error.message"]) == ("ValueError", "no\nway")
    assert read["error.stack_trace"].startswith("Traceback")
    assert read["error.stack_trace"].endswith("ValueError: no\nway\n")


def test_a_record_that_says_there_was_an_exception_where_there_was_none_is_written() -> None:
    """`log.exception` outside of an `except` has nothing to tell."""
    assert "error.type" not in line(exc_info=(None, None, None))


def test_a_value_that_is_no_json_is_written_as_text() -> None:
    """A log line must not be the reason why a request fails."""
    assert "object at" in line(ecs={"treeserve.x": object()})["treeserve.x"]


@pytest.mark.parametrize("ends", [("00", "01"), ("00", "00"), ("cc", "01"), ("cc", "01-more")])
def test_a_valid_traceparent_gives_its_trace(ends: tuple[str, str]) -> None:
    """A later version may have further parts."""
    assert trace_id(f"{ends[0]}-{TRACE}-{PARENT}-{ends[1]}") == TRACE


@pytest.mark.parametrize(
    "header",
    [
        None,
        "",
        "00",
        TRACE,
        f"ff-{TRACE}-{PARENT}-01",
        f"00-{'0' * 32}-{PARENT}-01",
        f"00-{TRACE}-{'0' * 16}-01",
        f"00-{TRACE.upper()}-{PARENT}-01",
        f"00-{TRACE[:-1]}-{PARENT}-01",
        f"00-{TRACE}-{PARENT}-01-more",
        f"00-{TRACE}-{PARENT}-01-",
        f"cc-{TRACE}-{PARENT}-01.more",
        f" 00-{TRACE}-{PARENT}-01",
        f"00-{TRACE}-{PARENT}-01\n",
        f"0g-{TRACE}-{PARENT}-01",
    ],
)
def test_a_traceparent_that_is_not_valid_gives_none(header: str | None) -> None:
    """W3C says to start anew rather than to guess."""
    assert trace_id(header) is None
