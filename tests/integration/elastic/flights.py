"""
What the service logs of real flights, over some weeks and two model versions, with feedback.

The service, the models and the flights are real. The lines are dated back, each request to when its flight was due and
all so that the last is of today, as if they had been asked then.
"""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx2
import pandas as pd

from app.ecs import timestamp
from model.datasets.dataset import Dataset
from tests.boosters import to_instances
from tests.e2e.servers import Server
from tests.integration.training import NAME, Trained
from tests.processes import clean_environment, free_port, run_process
from tests.services import wait

TREESERVE = str(Path(sys.executable).with_name("treeserve"))
_N_FLIGHTS = 2_400
_A_REQUEST = (1, 1, 1, 2, 5)  # instances, in turn


@dataclass(frozen=True)
class FlightLogs:
    """
    A folder of logs as it stands on a machine, and the same lines for whoever computes with them.

    Attributes
    ----------
    folder : pathlib.Path
        With payload.log and service.log.
    lines : pandas.DataFrame
        All lines, a column a field; `at` is their time.
    since, until : datetime.datetime
        Of a period that has them all.
    """

    folder: Path
    lines: pd.DataFrame
    since: datetime
    until: datetime

    def of(self, dataset: str) -> pd.DataFrame:
        """The lines of one dataset, with the columns that it has."""
        chosen = self.lines[self.lines["event.dataset"] == f"treeserve.{dataset}"]
        return chosen.dropna(axis="columns", how="all").reset_index(drop=True)


def make_logs(trained: Trained, dataset: Dataset, folder: Path) -> FlightLogs:
    """
    Serve version 1 with version 2 in shadow, then version 2 alone, and tell the outcomes of most flights.

    Parameters
    ----------
    trained : Trained
        With both versions, the first of which is the champion.
    dataset : Dataset
        Flights that neither was fitted on.
    folder : pathlib.Path
    """
    last = dataset.select((dataset.moments >= dataset.moments.sort_values().iloc[-_N_FLIGHTS]).to_numpy())
    requests = list(_divide(last))
    half = len(requests) // 2
    raw, logs = folder / "raw", folder / "logs"
    logs.mkdir(parents=True)
    asked: dict[str, datetime] = {}
    trained.client.set_registered_model_alias(NAME, "challenger", "2")
    with _serve(trained, raw, TREESERVE_CHALLENGER_URI=f"models:/{NAME}@challenger") as server:
        _ask(server, requests[:half], asked)
    trained.client.set_registered_model_alias(NAME, "champion", "2")
    with _serve(trained, raw) as server:
        _ask(server, requests[half:], asked)
    with _serve(trained, raw, ready=False, TREESERVE_MODEL_URI=f"models:/{NAME}/99"):
        pass  # which is an error, and tells it
    shutil.copy(raw / "service.log", logs / "service.log")
    lines = _date_back(raw / "payload.log", logs / "payload.log", asked)
    lines += [json.loads(text) for text in (logs / "service.log").read_text().splitlines()]
    table = pd.DataFrame(lines)
    table["at"] = pd.to_datetime(table["@timestamp"], utc=True, format="ISO8601")
    return FlightLogs(logs, table, min(asked.values()) - timedelta(days=1), datetime.now(UTC) + timedelta(hours=1))


def _divide(flights: Dataset) -> Iterator[tuple[datetime, list[dict[str, Any]], list[float]]]:
    """Requests in the order of their flights: when, what, and what came true."""
    ordered = flights.moments.sort_values().index
    rows = to_instances(flights.features)
    back = pd.Timestamp(datetime.now(UTC)) - flights.moments.max()
    at, number = 0, 0
    while at < len(ordered):
        chosen = ordered[at : at + _A_REQUEST[number % len(_A_REQUEST)]]
        moment = (flights.moments[chosen[0]] + back).to_pydatetime()
        yield moment, [rows[place] for place in chosen], [float(flights.outcomes[place]) for place in chosen]
        at, number = at + len(chosen), number + 1


@contextmanager
def _serve(trained: Trained, folder: Path, *, ready: bool = True, **settings: str) -> Iterator[Server]:
    port = str(free_port())
    given = {
        "MLFLOW_TRACKING_URI": trained.uri,
        "TREESERVE_MODEL_URI": f"models:/{NAME}@champion",
        "TREESERVE_CACHE_DIR": str(folder / "cache"),
        "TREESERVE_PAYLOAD_LOG": str(folder / "payload.log"),
        "TREESERVE_PORT": port,
        **settings,
    }
    with run_process([TREESERVE, "serve"], clean_environment(folder, **given), folder / "process") as process:
        server = Server(process, port, folder / "process")
        if ready:
            server.wait_until_ready()
            for _ in wait(60, every_s=0.2):
                states = [standing["state"] for standing in server.get("/model").json()["rollout"].values()]
                if states == ["confirmed"] * (2 if "TREESERVE_CHALLENGER_URI" in settings else 1):
                    break
        else:
            process.wait(30)
        yield server
        if ready:
            assert server.end() == 0
    with (folder / "service.log").open("a") as log:
        log.write(server.output)


def _ask(
    server: Server, requests: list[tuple[datetime, list[dict[str, Any]], list[float]]], asked: dict[str, datetime]
) -> None:
    with httpx2.Client(base_url=server.url, trust_env=False, timeout=30) as client:
        for number, (moment, instances, outcomes) in enumerate(requests):
            answer = client.post("/predict", json={"instances": instances}).json()
            asked[answer["request_id"]] = moment
            if number % 10 == 9:  # nobody learns of it
                continue
            told = [
                {
                    "request_id": answer["request_id"],
                    "instance": place,
                    "outcome": outcome,
                    "observed_at": timestamp(moment.timestamp() + 7_200),
                }
                for place, outcome in enumerate(outcomes)
            ]
            assert client.post("/feedback", json={"outcomes": told}).status_code == 202
            if number % 50 == 0:
                assert client.post("/feedback", json={"outcomes": told}).status_code == 202  # once more, to be sure


def _date_back(source: Path, target: Path, asked: dict[str, datetime]) -> list[dict[str, Any]]:
    lines = [json.loads(text) for text in source.read_text(encoding="utf-8").splitlines()]
    for line in lines:
        if line["event.dataset"] == "treeserve.prediction":
            line["@timestamp"] = timestamp(asked[line["http.request.id"]].timestamp())
        elif line["event.dataset"] == "treeserve.feedback":
            line["@timestamp"] = timestamp(asked[line["http.request.id"]].timestamp() + 7_300)
    target.write_text("".join(f"{json.dumps(line)}\n" for line in lines), encoding="utf-8")
    return lines
