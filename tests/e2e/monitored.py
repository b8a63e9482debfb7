"""A service that Prometheus and Alertmanager watch, and all that a test can have go wrong with it in seconds."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx2
import numpy as np
import xgboost

from tests.boosters import ModelFolderBuilder, make_model, make_table, make_target, to_instances, train_booster
from tests.e2e.conftest import servers
from tests.e2e.prometheus import Monitor, run_alertmanager, run_prometheus
from tests.e2e.servers import Server, Start
from tests.integration.mlflow_store import load_mlflow
from tests.processes import free_port
from tests.services import wait

NAME = "flight-delay"
WAIT_S = 90.0  # on a machine with other things to do
N_FIRST, N_REQUESTS, N_IN_EACH = 20, 300, 10
N_WORKERS = 2
N_SLOW, SLOW_S = 20, 0.15
N_REFUSED, N_INVALID, N_UNKNOWN, N_LOST = 40, 20, 5, 40
# Requests by their status, without those that began the series.
N_ANSWERED = {"200": N_REQUESTS + N_UNKNOWN + N_SLOW + 1, "422": N_INVALID, "503": N_REFUSED}


@dataclass
class Registry:
    """MLflow's store in a file, with versions of one model whose files are folders beside it."""

    folder: Path
    empty_database: Path

    def __post_init__(self) -> None:
        shutil.copy(self.empty_database, self._file)
        self.uri = f"sqlite:///{self._file}"
        self._client: Any = load_mlflow().MlflowClient(tracking_uri=self.uri, registry_uri=self.uri)
        self._client.create_registered_model(NAME)

    @property
    def _file(self) -> Path:
        return self.folder / "mlflow.db"

    def add(self, model: ModelFolderBuilder, golden_of: Path | None = None) -> str:
        """Add a version, with the golden rows of another if it is to be unfit; its number."""
        place = self.folder / f"version-{len(list(self.folder.glob('version-*'))) + 1}"
        model.write(place)
        if golden_of is not None:
            shutil.copy(golden_of / "extra_files" / "golden.json", place / "extra_files")
        return str(self._client.create_model_version(NAME, source=str(place)).version)

    def place(self, version: str) -> Path:
        """The files of a version."""
        return self.folder / f"version-{version}"

    def promote(self, version: str, alias: str = "champion") -> None:
        """Move an alias."""
        self._client.set_registered_model_alias(NAME, alias, version)

    def break_down(self) -> None:
        """Have it answer nobody any more."""
        self._file.write_bytes(b"this is no database")


@dataclass
class Monitored:
    """
    Services, and who watches them.

    Attributes
    ----------
    service : Server
        Two workers, with a champion, a challenger and a canary's share.
    lossy : Server
        Whose payload log cannot be written.
    unready_port : str
        Where one will listen that finds no model.
    share_of_others : float
        Of the instances, those of which champion and challenger decide otherwise.
    """

    registry: Registry
    start: Start
    service: Server
    lossy: Server
    unready_port: str
    prometheus: Monitor
    alertmanager: Monitor
    instances: list[dict[str, Any]] = field(default_factory=list)
    share_of_others: float = 0.0

    def wait_for(self, expression: str, at_least: float) -> None:
        """Until the value of an expression is as large in Prometheus."""
        for _ in wait(WAIT_S, every_s=0.1):
            if self.prometheus.query(f"sum({expression})").get((), 0) >= at_least:
                return

    def plant(self) -> None:
        """
        Have everything go wrong.

        First once of each that begins a series, for Prometheus sees no increase in a counter's first value.
        """
        self.unready = self.start(
            TREESERVE_MODEL_URI=f"models:/{NAME}@nobody",
            MLFLOW_TRACKING_URI=self.registry.uri,
            TREESERVE_PORT=self.unready_port,
            TREESERVE_PAYLOAD_LOG="off",
        )
        for _ in wait(WAIT_S, every_s=0.1):
            if "listening on" in self.unready.output:
                break
        for is_first in (True, False):
            self._ask(N_FIRST if is_first else N_REQUESTS, is_first=is_first)
            self.wait_for('treeserve_requests_total{route="/predict",status="503"}', 1)
            self.wait_for('treeserve_challenger_decisions_total{agree="false"}', 1)
        n_rows = (N_FIRST + N_REQUESTS) * N_IN_EACH + N_SLOW + N_UNKNOWN + 2
        self.wait_for(f'treeserve_rows_total{{instance="127.0.0.1:{self.service.port}"}}', n_rows)
        self.wait_for("treeserve_challenger_decisions_total", n_rows)
        self.wait_for('treeserve_payload_dropped_total{reason="write_failed"}', N_LOST)
        for worker in self.service.workers:
            os.kill(worker, signal.SIGKILL)
        for _ in wait(WAIT_S, every_s=0.1):  # or a new one would begin with what is promoted next, which is no swap
            if self.service.output.count("serves as challenger") >= 2 * N_WORKERS:
                break
        self.registry.promote("1", "challenger")
        self.registry.promote("3")
        self.wait_for('treeserve_swaps_total{role="challenger"}', 2)
        self.wait_for('treeserve_rejections_total{role="champion"}', 1)
        self.registry.break_down()

    def _ask(self, n_requests: int, *, is_first: bool) -> None:
        n_each = 1 if is_first else None
        with httpx2.Client(trust_env=False, timeout=20) as caller:

            def post(server: Server, instances: Any, **headers: str) -> int:
                body = {"instances": instances}
                return caller.post(f"{server.url}/predict", json=body, headers=headers).status_code

            for number in range(n_requests):
                chosen = [self.instances[(number * N_IN_EACH + at) % len(self.instances)] for at in range(N_IN_EACH)]
                trace = f"00-{number + 1:032x}-00f067aa0ba902b7-01"
                assert post(self.service, chosen, **{"X-Caller-Key": f"caller-{number}", "traceparent": trace}) == 200
            for _ in range(n_each or N_UNKNOWN):
                assert post(self.service, [{**self.instances[0], "carrier": "ZZ"}]) == 200
            for _ in range(n_each or N_INVALID):
                assert post(self.service, [{}]) == 422
            for _ in range(n_each or N_REFUSED):
                assert post(self.unready, self.instances[:1]) == 503
            assert post(self.lossy, self.instances[: n_each or N_LOST]) == 200
        slow = [threading.Thread(target=self._ask_slowly) for _ in range(n_each or N_SLOW)]
        for thread in slow:
            thread.start()
        for thread in slow:
            thread.join(20)

    def _ask_slowly(self) -> None:
        """Send the head, and the body only later: the service waits for it."""
        body = json.dumps({"instances": self.instances[:1]}).encode()
        head = b"POST /predict HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n"
        with socket.create_connection(("127.0.0.1", int(self.service.port)), 20) as caller:
            caller.sendall(head % len(body))
            time.sleep(SLOW_S)
            caller.sendall(body)
            assert caller.recv(100).startswith(b"HTTP/1.1 200 ")


@contextmanager
def run_monitored(folder: Path, empty_database: Path) -> Iterator[Monitored]:
    """
    Run services in which all is well, and Prometheus and Alertmanager beside them, until the block ends.

    These run first: they have seen what serves come.
    """
    table = make_table()
    champion = make_model(with_profile=True)
    other = make_model(booster=train_booster(table, np.roll(make_target(table), 1)), with_profile=True)
    registry = Registry(folder, empty_database)
    registry.promote(registry.add(champion))
    registry.promote(registry.add(other), "challenger")
    registry.add(champion, golden_of=registry.place("2"))
    asked = make_table(n_rows=500, seed=3).assign(wind=1000.0)  # nothing that training has ever seen
    data = xgboost.DMatrix(asked, enable_categorical=True)
    decided = [model.booster.predict(data) >= 0.5 for model in (champion, other)]
    with ExitStack() as running:
        ports = [str(free_port()) for _ in range(3)]
        alertmanager = running.enter_context(run_alertmanager(folder))
        prometheus = running.enter_context(run_prometheus(folder, ports, alertmanager))
        start = running.enter_context(servers(registry.place("1"), folder))
        service = start(
            TREESERVE_PORT=ports[0],
            TREESERVE_WORKERS=str(N_WORKERS),
            TREESERVE_MODEL_URI=f"models:/{NAME}@champion",
            TREESERVE_CHALLENGER_URI=f"models:/{NAME}@challenger",
            TREESERVE_CHALLENGER_SHARE="0.3",
            TREESERVE_UNKNOWN_CATEGORY="missing",
            TREESERVE_POLL_INTERVAL_S="0.3",
            TREESERVE_PAYLOAD_LOG=str(folder / "payload.log"),
            MLFLOW_TRACKING_URI=registry.uri,
        )
        lossy = start(TREESERVE_PORT=ports[1], TREESERVE_PAYLOAD_LOG="/dev/full")
        monitored = Monitored(registry, start, service, lossy, ports[2], prometheus, alertmanager)
        monitored.instances = to_instances(asked)
        monitored.share_of_others = float(np.mean(decided[0] != decided[1]))
        monitored.wait_for("count(treeserve_model_info)", 3)
        for _ in wait(WAIT_S, every_s=0.1):  # until the rules have seen that, too
            if not prometheus.query("ALERTS"):
                break
        yield monitored
