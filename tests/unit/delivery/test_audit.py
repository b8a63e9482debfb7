"""What `make audit` leaves out."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest

from delivery.audit import EXCEPTIONS, LeftOut, audit, read_exceptions
from delivery.errors import DeliveryFailed
from tests.processes import PROJECT

TODAY = date(2026, 3, 1)
ENTRY = '[[exception]]\nid = "X-1"\npackage = "some"\nreason = "because"\nuntil = 2026-03-01\n'


def read(folder: Path, text: str) -> list[str]:
    path = folder / "advisories.toml"
    path.write_text(text)
    return [left_out.id for left_out in read_exceptions(path, TODAY)]


def test_an_exception_holds_until_its_day(tmp_path: Path) -> None:
    assert read(tmp_path, ENTRY) == ["X-1"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (ENTRY.replace("2026-03-01", "2026-02-28"), "until 2026-02-28"),
        (ENTRY.replace("because", " "), "without a reason"),
        (ENTRY.replace('reason = "because"\n', ""), "reason"),
        (ENTRY.replace("2026-03-01", '"2026-03-01"'), "'2026-03-01', which is no date"),
        (ENTRY.replace("2026-03-01", "2026-03-01T00:00:00Z"), "which is no date"),
        (ENTRY + "forever = true\n", "forever"),
    ],
)
def test_one_without_a_reason_or_past_its_day_does_not_hold(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(DeliveryFailed, match=said):
        read(tmp_path, text)


def test_one_of_a_package_that_is_not_locked_does_not_hold(tmp_path: Path) -> None:
    """It is left over, or its name is wrong: it would be left out of every package."""
    lock = tmp_path / "lock.txt"
    lock.write_text("some-other==1.0 \\\n    --hash=sha256:0\n")
    left_out = LeftOut("X-1", "some", "because", TODAY)
    with pytest.raises(DeliveryFailed, match="X-1 of some, which is not locked"):
        audit(tmp_path / "no-program", [lock], [left_out])


def test_the_projects_own_can_be_read() -> None:
    read_exceptions(PROJECT / EXCEPTIONS, date.min)
