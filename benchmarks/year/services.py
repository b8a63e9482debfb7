"""The services that the year is asked of, as processes, and whoever asks them: every answer is looked at."""

from __future__ import annotations

import json
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import Any

from benchmarks.servers import run_server
from tests.processes import PROJECT, clean_environment, free_port
from tests.services import wait

_SERVE = "import sys; from app.cli import main; sys.exit(main(['serve']))"
_PATIENCE_S = 30.0
_FOLLOWS_WITHIN_S = 180.0  # on a machine that has much else to do
_CALL_EVERY_S = 0.02
_STRIDE = 7919  # a prime: flights of the whole week in turn, and not of its first hour


@dataclass
class Caller:
    """
    Asks one service, and counts.

    Attributes
    ----------
    port : int
    n_requests : int
    failures : list of str
        What was answered to those that failed, or why there was no answer.
    """

    port: int
    n_requests: int = 0
    failures: list[str] = field(default_factory=list)

    def ask(self, method: str, path: str, body: Any = None, request_id: str = "") -> Any:
        """Send a request; the answer's JSON, or None where it failed."""
        self.n_requests += 1
        connection = HTTPConnection("127.0.0.1", self.port, timeout=_PATIENCE_S)
        try:
            headers = {"Content-Type": "application/json"} | ({"X-Request-ID": request_id} if request_id else {})
            connection.request(method, path, body if body is None else json.dumps(body), headers)
            response = connection.getresponse()
            answer = response.read()
        except (OSError, HTTPException) as error:
            self.failures.append(f"{method} {path}: {error!r}")
            return None
        finally:
            connection.close()
        if response.status not in (200, 202):
            self.failures.append(f"{method} {path}: {response.status} {answer[:300]!r}")
            return None
        return json.loads(answer)


@dataclass(frozen=True)
class Service:
    """A running service, its payload log, and who asks it."""

    caller: Caller
    log: Path

    def logs(self) -> list[str]:
        """The log, and what it was renamed to when it had become large."""
        return [str(path) for path in sorted(self.log.parent.glob(f"{self.log.name}*"))]

    def version(self, role: str = "champion") -> str:
        """Which version is the champion, or the challenger; empty for none."""
        answer = self.caller.ask("GET", "/model") or {"rollout": {}}
        return str(answer["rollout"].get(role, {}).get("version") or "")

    def follow(self, champion: str, challenger: str) -> None:
        """Have it look at the registry now, and wait until it has both versions."""
        self.caller.ask("POST", "/model/refresh")
        for _ in wait(_FOLLOWS_WITHIN_S, every_s=0.1):
            if (self.version(), self.version("challenger")) == (champion, challenger):
                return


@contextmanager
def run_service(folder: Path, tracking_uri: str, example: Any, changes: str = "", **settings: str) -> Iterator[Service]:
    """
    Run the service until the block ends.

    Parameters
    ----------
    folder : pathlib.Path
        Where its cache, its log and its output go.
    tracking_uri : str
        MLflow's.
    example : mapping
        An instance, by whose answer it is seen that it serves.
    changes : str
        Python code that is run before the service.
    **settings : str
        Of the service.
    """
    folder.mkdir(parents=True)
    port, log = free_port(), folder / "payload.log"
    environment = clean_environment(
        folder,
        PYTHONPATH=str(PROJECT),
        MLFLOW_TRACKING_URI=tracking_uri,
        TREESERVE_CACHE_DIR=str(folder / "cache"),
        TREESERVE_PAYLOAD_LOG=str(log),
        TREESERVE_PORT=str(port),
        **settings,
    )
    caller = Caller(port)

    def is_right(_: int) -> bool:
        return Caller(port).ask("POST", "/predict", {"instances": [example]}) is not None

    with run_server([sys.executable, "-c", changes + _SERVE], environment, folder, port, is_right, core=None):
        yield Service(caller, log)


@dataclass
class Calls:
    """
    What is asked all the time: single flights of the week, so that they are distributed as all flights are.

    Attributes
    ----------
    callers : list of Caller
        One for each service.
    instances : list of dict
        Which are asked in turn.
    """

    callers: list[Caller]
    instances: list[Any]


@contextmanager
def asked_all_the_time(services: Sequence[Service], example: Any) -> Iterator[Calls]:
    """Ask one instance after the other until the block ends, also while versions are verified and swapped."""
    ended = threading.Event()
    calls = Calls([Caller(service.caller.port) for service in services], [example])

    def go_on(caller: Caller) -> None:
        number = 0
        while not ended.is_set():
            instances = calls.instances
            caller.ask("POST", "/predict", {"instances": [instances[number * _STRIDE % len(instances)]]})
            number += 1
            time.sleep(_CALL_EVERY_S)

    threads = [threading.Thread(target=go_on, args=(caller,)) for caller in calls.callers]
    with ExitStack() as stack:
        for thread in threads:
            thread.start()
            stack.callback(thread.join)
        stack.callback(ended.set)
        yield calls
