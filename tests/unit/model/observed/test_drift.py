"""What processes have told of themselves is added up, and compared with training."""

from __future__ import annotations

import gzip
import json
import math
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from model.__main__ import main
from model.errors import LogUnreadable, NothingObserved
from model.observed.drift import LEAST_SHARE, measure_drift
from model.observed.drift_report import write_report
from model.observed.log_lines import LogReader
from model.observed.period import Period

REFERENCE = {"temp": {"00 < 1": 0.0, "01 [1, 2)": 0.5, "02 [2, 3]": 0.5}, "carrier": {"AA": 0.9, "<b>": 0.1}}


def told(
    name: str, counts: list[int], *, kind: str = "feature", model: str = "flights", version: str = "7", minute: int = 0
) -> list[dict[str, Any]]:
    """What one process tells of a column in one minute."""
    return [
        {
            "@timestamp": f"2026-11-29T12:{minute:02d}:00.000000Z",
            "event.dataset": "treeserve.profile",
            "treeserve.model.name": model,
            "treeserve.model.version": version,
            "treeserve.profile.kind": kind,
            "treeserve.profile.name": name,
            "treeserve.profile.bin": label,
            "treeserve.profile.count": count,
            "treeserve.profile.reference": share,
        }
        for (label, share), count in zip(REFERENCE[name].items(), counts, strict=True)
    ]


LINES = [
    *told("temp", [1, 10, 9]),
    *told("carrier", [18, 2]),
    *told("temp", [1, 10, 9], minute=1),
    *told("carrier", [18, 2], minute=2),
    *told("temp", [0, 1, 0], kind="prediction", minute=3),
]


def write(path: Path, lines: list[Any]) -> str:
    """A log with these lines."""
    text = "".join(f"{line if isinstance(line, str) else json.dumps(line)}\n" for line in lines)
    if path.suffix == ".gz":
        path.write_bytes(gzip.compress(text.encode()))
    else:
        path.write_text(text)
    return str(path)


def test_processes_and_minutes_are_added_up() -> None:
    """The largest drift first; a column of the same name as a feature may be the prediction."""
    model, drifts = measure_drift(LINES)
    assert model == ("flights", "7")
    assert [(drift.kind, drift.name, drift.n_observed) for drift in drifts] == [
        ("prediction", "temp", 1),
        ("feature", "temp", 40),
        ("feature", "carrier", 40),
    ]
    temp = drifts[1]
    assert temp.observed == (0.05, 0.5, 0.45)
    expected = (0.05 - LEAST_SHARE) * math.log(0.05 / LEAST_SHARE) + (0.45 - 0.5) * math.log(0.45 / 0.5)
    assert temp.psi == pytest.approx(expected)
    assert (temp.verdict, temp.widest) == ("large", "00 < 1: 0.0% → 5.0%")
    assert (drifts[2].psi, drifts[2].verdict) == (0, "none")


def test_only_what_was_told_in_the_period_counts(tmp_path: Path) -> None:
    """From its beginning, and before its end."""
    period = Period(datetime(2026, 11, 29, 12, 1, tzinfo=UTC), datetime(2026, 11, 29, 12, 2, tzinfo=UTC))
    reader = LogReader([write(tmp_path / "log", LINES)])
    _, drifts = measure_drift(reader.read("treeserve.profile", period))
    assert [(drift.name, drift.n_observed) for drift in drifts] == [("temp", 20)]


def test_a_version_is_chosen_where_there_are_several() -> None:
    """They have other bins."""
    lines = [*LINES, *told("carrier", [1, 1], version="8")]
    assert measure_drift(lines, version="8")[1][0].n_observed == 2
    assert measure_drift([*lines, *told("temp", [1, 1, 1], model="fraud")], "fraud")[0] == ("fraud", "7")
    with pytest.raises(NothingObserved, match=r"several to choose from: flights version 7, flights version 8; --m"):
        measure_drift(lines)
    with pytest.raises(NothingObserved, match=r"have nothing of that: flights version 7, flights version 8; --model"):
        measure_drift(lines, version="9")
    with pytest.raises(NothingObserved, match=r"no treeserve\.profile line"):
        measure_drift([])


@pytest.mark.parametrize("change", [{"treeserve.profile.count": "many"}, {"treeserve.profile.bin": None}])
def test_a_line_that_no_service_writes_is_refused(change: dict[str, Any]) -> None:
    """With the line: half of a count would be a wrong figure."""
    line = {name: value for name, value in (LINES[0] | change).items() if value is not None}
    with pytest.raises(LogUnreadable, match="not as a service writes it"):
        measure_drift([line])


@pytest.mark.parametrize("timestamp", [1, "yesterday", None])
def test_a_line_without_its_time_is_refused_where_it_matters(timestamp: Any, tmp_path: Path) -> None:
    """With the file."""
    reader = LogReader([write(tmp_path / "log", [LINES[0] | {"@timestamp": timestamp}])])
    with pytest.raises(LogUnreadable, match="log: a line does not say when it was logged"):
        list(reader.read("treeserve.profile", Period(datetime(2000, 1, 1, tzinfo=UTC))))


def test_logs_are_read_whatever_else_they_have(tmp_path: Path) -> None:
    """Compressed or not; what other programs have written there is told."""
    other = {"event.dataset": "treeserve.prediction"}
    plain = write(tmp_path / "a.log", [*LINES[:3], "Traceback (most recent call last):", other, "[1]"])
    reader = LogReader([plain, write(tmp_path / "b.log.gz", LINES[3:])])
    assert list(reader.read("treeserve.profile")) == LINES
    assert (reader.n_strange, reader.first_strange) == (2, f"{plain}, line 4")
    with pytest.raises(LogUnreadable, match="cannot be read"):
        list(LogReader([str(tmp_path / "gone")]).read("x"))
    (tmp_path / "cut.gz").write_bytes((tmp_path / "b.log.gz").read_bytes()[:-20])
    with pytest.raises(LogUnreadable, match=r"cut\.gz cannot be read"):
        list(LogReader([str(tmp_path / "cut.gz")]).read("x"))


def test_the_command_prints_a_table_or_json_and_writes_a_page(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The page needs nothing beside itself, and shows names as they are."""
    log, page = write(tmp_path / "a.log", ["?", *LINES]), tmp_path / "page.html"
    assert main(["drift", log, "--html", str(page)]) == 0
    printed = capsys.readouterr()
    assert printed.err == f"note: 1 lines are no JSON objects and were left out, the first in {log}, line 1\n"
    assert [line.split()[0] for line in printed.out.splitlines() if line] == [
        "flights", "feature", "(the", "temp", "carrier",
    ]  # fmt: skip
    text = page.read_text(encoding="utf-8")
    assert "&lt;b&gt;" in text
    assert "<b>" not in text
    assert "http" not in text
    assert text.count("<svg") == 3
    assert main(["drift", log, "--json", "--since", "2026-11-29T12:01", "--until", "2026-11-29T13:02+01:00"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert [(column["name"], column["n_observed"]) for column in document["columns"]] == [("temp", 20)]


@pytest.mark.parametrize(
    ("arguments", "status", "told"),
    [
        (["gone.log"], 1, "error: gone.log cannot be read"),
        (
            ["a.log", "--version", "9"],
            1,
            "error: the logs have nothing of that: flights version 7; --model",
        ),
        (["a.log", "--html", "no/such/folder/x"], 1, "cannot be written"),
    ],
)
def test_what_cannot_be_done_is_one_line(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    status: int,
    told: str,
) -> None:
    """With what to do next."""
    monkeypatch.chdir(tmp_path)
    write(tmp_path / "a.log", LINES)
    assert main(["drift", *arguments]) == status
    error = capsys.readouterr().err
    assert told in error
    assert error.count("\n") == 1


def test_a_time_that_is_none_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    """By the command line."""
    with pytest.raises(SystemExit):
        main(["drift", "x", "--since", "yesterday"])
    assert "'yesterday' is no time; write 2026-11-29" in capsys.readouterr().err


def test_a_page_of_nothing_but_zeros_can_be_drawn() -> None:
    """Of a bin that nobody ever saw, say."""
    _, drifts = measure_drift(told("temp", [0, 0, 5]))
    assert 'width="360.0"' in write_report(drifts, "version 7", "Today")
