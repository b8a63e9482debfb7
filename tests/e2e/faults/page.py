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

from tests.cluster.tools import KUBERNETES as PROGRAMS
from tests.e2e.faults.records import KUBERNETES, PROCESSES

PAGE = Path(__file__).parents[3] / "docs" / "reliability.md"

_HEAD = """# Reliability

Written by `make reliability`; do not edit.

Callers ask without pause, and compare every answer with XGBoost's own for the version that it names. *Failed* is every
request that was not answered with status 200, *wrong* every answer that is not, to the last bit, what it should be.
The tests of both tables fail if one request fails; `make test-all` runs those of processes.

Measured {date} on {cores} cores, {machine}, {system}, beside the callers and MLflow.
"""
_COLUMNS = """
| what happens | what is seen | load, requests/s | sent | failed | wrong |
|---|---|---|---|---|---|
"""
_TABLES = {
    PROCESSES: """
## Of processes

`treeserve serve`, a real MLflow server, and callers over connections that they keep.
""",
    KUBERNETES: """
## On Kubernetes

`k8s/overlays/cpu` with two replicas on two nodes of a cluster within the machine: API server, controllers, scheduler,
kubelets and kube-proxy of Kubernetes {kubernetes}, etcd and containerd, all as they are. Callers ask the Service from
outside the cluster, half of them over connections that they keep, the others over a new one for each request.
""",
}


def write_page(folder: Path) -> None:
    """Write the page from a folder of records."""
    records = [json.loads(file.read_text(encoding="utf-8")) for file in sorted(folder.glob("*.json"))]
    page = _HEAD.format(
        date=datetime.now(UTC).date(),
        cores=os.cpu_count(),
        machine=platform.machine(),
        system=f"{platform.system()} {platform.release().partition('-')[0]}",
    )
    for table, head in _TABLES.items():
        if rows := [_row(record) for record in records if record["table"] == table]:
            page += head.format(kubernetes=PROGRAMS.version) + _COLUMNS + "".join(rows)
    PAGE.write_text(page, encoding="utf-8")


def _row(record: dict[str, Any]) -> str:
    failed = f"{record['n_failed']} (held by what was killed)" if record["n_held"] else str(record["n_failed"])
    cells = [record["fault"], record["seen"], f"{record['requests_per_s']:,}", f"{record['n_sent']:,}", failed]
    return f"| {' | '.join([*cells, str(record['n_wrong'])])} |\n"


if __name__ == "__main__":
    write_page(Path(sys.argv[1]))
