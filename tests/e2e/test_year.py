"""A short year: two months against the running service, with retraining, shadow, promotion and swap as they come."""

from __future__ import annotations

import io
import json
import shutil
from pathlib import Path

import pytest

from benchmarks.year.command import play
from benchmarks.year.page import draw, write_report
from benchmarks.year.record import Record
from model.parameters import read_parameters
from model.progress import Progress
from tests.integration.mlflow_store import restored_tracking_uri

pytestmark = [
    pytest.mark.faults,
    pytest.mark.filterwarnings("ignore:Operation with range is deprecated"),  # of MLflow's own use of pandas
]

# What was counted is told every second, not every minute: so long a test would wait after each month.
OFTEN = "import app.main; app.main._PROFILE_EVERY_S = 1.0\n"
MONTHS = ["2013-08", "2013-09"]


@pytest.fixture(scope="module")
def year(empty_database: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Record, Path]:
    """Late summer, from a model of the winter."""
    folder = tmp_path_factory.mktemp("year")
    shutil.copy(empty_database, folder / "mlflow.db")
    with restored_tracking_uri():
        return play(folder, MONTHS, read_parameters(), None, Progress(io.StringIO()), OFTEN), folder


def test_no_request_fails_and_the_model_becomes_another(year: tuple[Record, Path]) -> None:
    """While versions are trained, judged, shadowed and swapped, and a caller asks without pause."""
    record, _ = year
    assert record.failures == []
    assert record.n_requests > 1_000
    assert [event.outcome for event in record.events][:2] == ["challenger", "promoted"]
    assert record.months[-1].retrained.versions[-1] == record.events[1].version
    assert record.months[-1].never.versions == ["1"]


def test_every_outcome_is_told_and_none_too_early(year: tuple[Record, Path]) -> None:
    """Two weeks after the week of its flight; the retraining of a week knows no younger ones."""
    record, folder = year
    assert record.n_outcomes == sum(month.n_flights for month in record.months)
    reports = [json.loads(line) for line in (folder / "retrainings.jsonl").read_text().splitlines()]
    first = {step["step"]: step["found"] for step in reports[0]["steps"]}
    assert first["live metric"].startswith("0 outcomes")
    promoted = next(report for report in reports if report["outcome"] == "promoted")
    assert promoted["figures"]["shadow_outcomes"] >= 1_000
    assert promoted["figures"]["shadow_gain"] > 0


def test_a_month_is_measured_by_the_window_of_its_own_log(year: tuple[Record, Path]) -> None:
    """One after the other; each has figures of its own."""
    record, _ = year
    assert record.months[0].until <= record.months[1].since
    for month in record.months:
        assert 0.5 < month.retrained.auc < 1
        assert month.retrained.psi_features > 0
        assert month.n_unknown > 0


def test_the_report_has_every_month_and_every_decision(year: tuple[Record, Path], tmp_path: Path) -> None:
    """And nothing beside itself; the record is read as it was written."""
    record, _ = year
    record.write(tmp_path / "record.json")
    assert Record.read(tmp_path / "record.json") == record
    picture = io.BytesIO()
    draw(record).savefig(picture, format="png")
    page = write_report(record, picture.getvalue())
    assert all(month.name in page for month in record.months)
    assert all(f"<td>{event.day}</td><td>{event.outcome}</td>" in page for event in record.events)
    assert "http" not in page
