"""Requests are gathered, and their lines of the payload log made later, in pieces."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.lines import gather
from tests.unit.wire.bodies import PLAIN, SIGNATURE


def test_lines_that_wait_are_as_many_as_were_gathered() -> None:
    """In pieces of whole lines, however large one request is; and none is added when they are being made."""
    lines = gather(SIGNATURE)
    bodies = [json.dumps({"instances": [{"carrier": "AA", "hour": hour}] * 3000}).encode() for hour in range(3)]
    for body in bodies:
        lines.add(body, ",".join(["0.5"] * 3000), "r", None, 0, 0)
    assert lines.n_bytes == sum(map(len, bodies)) + 3 * (3000 * 4 - 1)
    pieces = list(lines)
    assert sum(n_lines for _, n_lines in pieces) == 9000
    assert all(piece.count(b"\n") == n_lines and piece.endswith(b"\n") for piece, n_lines in pieces)
    assert max(len(piece) for piece, _ in pieces) < 300_000
    hours = [
        json.loads(line)["treeserve.features.number"]["hour"] for piece, _ in pieces for line in piece.splitlines()
    ]
    assert hours == [hour for hour in range(3) for _ in range(3000)]
    with pytest.raises(ValueError, match="before the first line"):
        lines.add(bodies[0], "0.5", "r", None, 0, 0)


@pytest.mark.parametrize(
    "exchange",
    [("body", "0.5", "r", None, 0, 0), (b"", "é", "r", None, 0, 0), (b"", "0.5", b"r", None, 0, 0),
     (b"", "0.5", "r", None, 0, 1 << 70), (b"", "0.5", "r", None, 0)],
)  # fmt: skip
def test_what_is_no_exchange_is_refused(exchange: Any) -> None:
    """With an error, and nothing is gathered."""
    lines = gather(SIGNATURE)
    with pytest.raises((TypeError, ValueError, OverflowError)):
        lines.add(*exchange)
    assert list(lines) == []


def test_a_clock_before_1970_costs_no_line() -> None:
    """A board without a battery starts there or earlier."""
    lines = gather(SIGNATURE)
    lines.add(PLAIN[0].encode(), "0.5", "r", None, -1, -1)
    ((line, _),) = lines
    assert json.loads(line)["@timestamp"] == "1970-01-01T00:00:00.000000Z"


@pytest.mark.parametrize("predictions", ["", "0.5", "0.5,0.5,0.5", "[0.5"])
def test_lines_want_as_many_predictions_as_instances(predictions: str) -> None:
    """Else none are written; of another version there may be none at all."""
    right, wrong, other = (gather(SIGNATURE, '"b": ') for _ in range(3))
    right.add(PLAIN[2].encode(), "0.5,[0.1,0.2]", "r", None, 0, 0)
    right.tell(["[1],2"])
    wrong.add(PLAIN[2].encode(), predictions, "r", None, 0, 0)
    other.add(PLAIN[2].encode(), "1,2", "r", None, 0, 0)
    other.tell([predictions])
    assert [n_lines for _, n_lines in right] == [2]
    for lines in (wrong, other) if predictions else (wrong,):
        for _ in range(2):  # and so it stays
            with pytest.raises(ValueError, match="not as many instances as predictions"):
                list(lines)


def test_only_lines_that_are_told_another_versions_prediction_have_it() -> None:
    """However long what comes before it is; those around them are as they would be without."""
    lines = gather(SIGNATURE, f'"b": "{"x" * 5000}", "c": ')
    for _ in range(3):
        lines.add(PLAIN[2].encode(), "0.5,0.75", "r", None, 0, 0)
    lines.tell(["7,8", "9,10", "11,12"])
    lines.tell([None, "[0.1, 0.2],0.25", ""])  # the last word counts
    read = [json.loads(line) for piece, _ in lines for line in piece.splitlines()]
    assert [line.get("c") for line in read] == [None, None, [0.1, 0.2], 0.25, None, None]
    assert [len(line.get("b", "")) for line in read] == [0, 0, 5000, 5000, 0, 0]
    assert [line["treeserve.prediction"] for line in read] == [0.5, 0.75] * 3


@pytest.mark.parametrize("others", [[], ["1", "2"], ("1",), None, [b"1"], ["é"], [1]])
def test_what_is_told_is_a_text_for_each_request(others: Any) -> None:
    """Anything else is refused, and the lines are written without; and nothing is told to lines that are being made."""
    lines = gather(SIGNATURE, '"b": ')
    lines.add(PLAIN[0].encode(), "0.5", "r", None, 0, 0)
    with pytest.raises(ValueError, match=r"tell\(\) takes|must be ASCII"):
        lines.tell(others)
    ((line, _),) = lines
    assert "b" not in json.loads(line)
    with pytest.raises(ValueError, match="before the first line"):
        lines.tell(["1"])
