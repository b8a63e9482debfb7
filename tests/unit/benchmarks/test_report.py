"""The report: tables that line up, and what was measured in the right place."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.evaluators import EVALUATORS, KERNEL, XGBOOST
from benchmarks.forest_time import ForestTime
from benchmarks.load import Load
from benchmarks.prediction_report import Measured, draw_charts, write_report
from benchmarks.report import describe_machine, format_number, format_table
from benchmarks.servers import Memory
from benchmarks.service_time import (
    ALONE,
    BARE,
    BESIDE_BATCHES,
    SAMPLED,
    SERVICE,
    SERVICE_NO_LOG,
    TUTORIAL,
    LoadTurns,
    Start,
)


def one_turn(**requests_per_s: float) -> LoadTurns:
    return [{name: Load(per_s, 1000 / per_s, 3000 / per_s, 0) for name, per_s in requests_per_s.items()}]


@pytest.fixture
def measured() -> Measured:
    single = one_turn(**{BARE: 40_000, SERVICE: 27_000, SERVICE_NO_LOG: 30_000, TUTORIAL: 1_350})
    batches = one_turn(**{SERVICE: 50, SAMPLED: 64, SERVICE_NO_LOG: 80, TUTORIAL: 10})
    forest = [
        ForestTime(
            200, n_rows, name, us_per_row=2 if name == KERNEL else 400, times_xgboost=200 / (1 + (name != KERNEL))
        )
        for n_rows in (1, 64, 8192)
        for name in (KERNEL, XGBOOST)
    ]
    others = [name for name in EVALUATORS if name not in (KERNEL, XGBOOST)]
    forest += [
        ForestTime(200, n_rows, name, why_not="wrong by 0.3" if name == others[0] else "it has no trees")
        for n_rows in (1, 64, 8192)
        for name in others
    ]
    return Measured(
        forest=forest,
        forest_versions={"treelite": "4"},
        single={1: single, 16: single},
        beside_batches={1: (one_turn(**{ALONE: 5_000, BESIDE_BATCHES: 1_000}), 12.5)},
        batches=batches,
        mixed_batches=batches,
        starts={SERVICE: Start(0.8, Memory(85, 70)), BARE: Start(0.3, Memory(30, 20))},
    )


def cells(text: str, first: str) -> list[str]:
    """The cells of the one row of a table that begins so."""
    [row] = [line for line in text.splitlines() if line.startswith(f"| {first} ")]
    return [cell.strip() for cell in row.strip("| ").split(" | ")][1:]


def test_a_table_lines_up() -> None:
    """Names to the left, numbers to the right."""
    assert format_table(("what", "n"), [("a", "1,000"), ("longer", "2")]) == (
        "| what   |     n |\n| ------ | ----: |\n| a      | 1,000 |\n| longer |     2 |\n"
    )


def test_a_row_with_a_cell_too_few_is_refused() -> None:
    """Numbers would stand under another's name."""
    with pytest.raises(ValueError, match="3 cells"):
        format_table(("what", "n", "m"), [("a", "1", "2"), ("b", "1")])


def test_the_summary_has_the_ratios(measured: Measured) -> None:
    """To the ceiling, to the tutorial, to XGBoost, and what the log costs."""
    text = write_report(measured, "a machine", "a run")
    assert cells(text, "requests/s at 16 connections, of bare uvicorn's") == ["0.68"]
    assert cells(text, "the same, of the tutorial's") == ["20.0 ×"]
    assert cells(text, "throughput that the payload log costs") == ["10.0%"]
    assert cells(text, "kernel, 1 row, 200 trees, as quick as XGBoost") == ["200 ×"]
    assert cells(text, "10,000 rows in a request, p50") == ["20.0 ms"]
    assert cells(text, "the same, 1 % of requests logged") == ["15.6 ms"]
    assert cells(text, "resident memory at rest") == ["85 MB"]


def test_who_answers_wrongly_stands_in_the_table_as_wrong(measured: Measured) -> None:
    """With how wrong below it; who cannot be had, with the reason."""
    text = write_report(measured, "a machine", "a run")
    row = cells(text, "200 trees, 1 row")
    assert row.count("wrong") == 1
    assert row.count("–") == len(EVALUATORS) - 3
    assert "200 trees: wrong by 0.3." in text
    assert "200 trees: it has no trees." in text


def test_every_server_has_its_row_at_every_number_of_connections(measured: Measured) -> None:
    """With requests, times, and ratios."""
    text = write_report(measured, "a machine", "a run")
    assert cells(text, f"{SERVICE}, 16 connections") == ["27,000", "0.04", "0.11", "0.675", "20.0 ×"]
    assert cells(text, f"1 connection, {BESIDE_BATCHES}") == ["1,000", "1.00", "3.00", "5.0 ×", "12.5"]
    assert cells(text, f"{SERVICE}, known places") == ["20.0", "60.0", "5.0 ×"]
    assert cells(text, BARE) == ["0.30", "30", "20"]


def test_charts_are_drawn(measured: Measured, tmp_path: Path) -> None:
    """Whoever is missing is left out of them."""
    draw_charts(measured, tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {"kernel.png", "service.png"}
    assert all(path.read_bytes().startswith(b"\x89PNG") for path in tmp_path.iterdir())


def test_the_machine_is_told() -> None:
    """Who reads a figure later has to know where it is from."""
    assert "numpy " in describe_machine(["numpy"])


@pytest.mark.parametrize(
    ("number", "text"),
    [(0.2371, "0.237"), (1, "1"), (99.9, "99.9"), (99.96, "100"), (2931.4, "2,931"), (4e4, "40,000")],
)
def test_numbers_are_written_for_people(number: float, text: str) -> None:
    """Never as 2.93e+03."""
    assert format_number(number) == text
