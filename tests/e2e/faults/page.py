"""
Writes ``docs/reliability.md`` from what the fault tests have recorded: ``python -m tests.e2e.faults.page FOLDER``.

`make reliability` runs both.
"""

from __future__ import annotations

import json
import os
import platform
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

PAGE = Path(__file__).parents[3] / "docs" / "reliability.md"

_HEAD = """# Reliability

Written by `make reliability`; do not edit.

Each line is a test of real processes: `treeserve serve`, a real MLflow server, and callers that ask without pause over
connections that they keep, and compare every answer with XGBoost's own for the version that it names. *Failed* is every
request of which a byte was sent and that was not answered with status 200; *wrong* every answer that is not, to the
last bit, what it should be. `make test-all` runs them too, and fails if one request fails.

Measured {date} on {cores} cores, {machine}, {system}, beside the callers and MLflow.

| what happens | what is seen | load, requests/s | sent | failed | wrong |
|---|---|---|---|---|---|
"""


def write_page(folder: Path) -> None:
    """Write the page from a folder of records."""
    records = [json.loads(file.read_text(encoding="utf-8")) for file in sorted(folder.glob("*.json"))]
    head = _HEAD.format(
        date=datetime.now(UTC).date(),
        cores=os.cpu_count(),
        machine=platform.machine(),
        system=f"{platform.system()} {platform.release().partition('-')[0]}",
    )
    PAGE.write_text(head + "".join(map(_row, records)), encoding="utf-8")


def _row(record: dict[str, Any]) -> str:
    failed = f"{record['n_failed']} (held by what was killed)" if record["n_held"] else str(record["n_failed"])
    cells = [record["fault"], record["seen"], f"{record['requests_per_s']:,}", f"{record['n_sent']:,}", failed]
    return f"| {' | '.join([*cells, str(record['n_wrong'])])} |\n"


if __name__ == "__main__":
    write_page(Path(sys.argv[1]))
