"""How to accept a deployment, as `docs/benchmarks.md` tells it: its script and every command of it are run."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.e2e.conftest import TREESERVE
from tests.e2e.servers import Start
from tests.processes import PROJECT, clean_environment

TEXT = (PROJECT / "docs" / "benchmarks.md").read_text(encoding="utf-8")
(SECTION,) = re.findall(r"^## Accept a deployment\n(.*?)(?=^## |\Z)", TEXT, re.DOTALL | re.MULTILINE)
COMMANDS = re.findall(r"```bash\n(.*?)```", SECTION, re.DOTALL)
(SCRIPT,) = re.findall(r"```lua\n(.*?)```", SECTION, re.DOTALL)


def test_the_document_has_the_commands_that_are_run_here() -> None:
    """A new command in the document fails this until it is run below."""
    assert [re.match(r"(\w+).*?(?:\n(\w+).*)?\n$", command).groups() for command in COMMANDS] == [  # type: ignore[union-attr]
        ("treeserve", None),
        ("wrk", None),
        ("head", "hey"),
        ("curl", None),
    ]


def test_a_deployment_is_accepted_as_the_document_says(start: Start, tmp_path: Path) -> None:
    """Each body is sent in turn and answered, also where a load tool sends them, and all of them are counted."""
    log = tmp_path / "payload.log"
    server = start(TREESERVE_PAYLOAD_LOG=str(log))
    server.wait_until_ready()
    (tmp_path / "bodies.lua").write_text(SCRIPT, encoding="utf-8")
    path = f"{Path(TREESERVE).parent}:{os.environ['PATH']}"
    environment = clean_environment(tmp_path, PATH=path)

    def run(command: str) -> str:
        command = command.replace("8080", server.port).replace("30s", "1s")
        ended = subprocess.run(
            ["bash", "-ec", command], cwd=tmp_path, env=environment, capture_output=True, text=True, check=True
        )
        assert ended.stderr == ""
        return ended.stdout

    bodies, wrk, hey, curl = COMMANDS
    run(bodies)
    assert len(set((tmp_path / "bodies.jsonl").read_bytes().splitlines())) == 1000
    missing = [tool for tool in ("wrk", "hey") if shutil.which(tool) is None]
    if "wrk" not in missing:
        told = run(wrk)
        assert float(re.findall(r"^Requests/sec: +([\d.]+)$", told, re.MULTILINE)[0]) > 10
        assert "  50%" in told
        assert "Non-2xx" not in told
        assert "Socket errors" not in told
    n_sent = 0
    if "hey" not in missing:
        told = run(hey)
        assert re.findall(r"^  \[(\d+)\]\t", told, re.MULTILINE) == ["200"]
        n_sent = int(re.findall(r"\[200\]\t(\d+) responses", told)[0])
        assert n_sent > 10
    counted = dict(line.rsplit(" ", 1) for line in run(curl).splitlines())
    assert float(counted["treeserve_kernel_disagrees"]) == 0
    assert [float(n) for name, n in counted.items() if name.startswith("treeserve_payload_dropped_total")] == [0] * 5
    assert server.end() == 0
    lines = [json.loads(line) for line in log.read_text(encoding="utf-8").splitlines()]
    statuses = {name.split('status="')[1][:3] for name, n in counted.items() if 'route="/predict"' in name and float(n)}
    assert statuses <= {"200", "499"}  # wrk goes away in the middle of its last requests
    seen = {json.dumps([line["treeserve.features.number"], line["treeserve.features.category"]]) for line in lines}
    assert len(seen) == (min(1, n_sent) if "wrk" in missing else min(1000, len(lines) - n_sent))
    if missing:
        pytest.skip(f"not installed, so not run: {' and '.join(missing)}")
