"""Runs one server alone on its core, checks its answers and times it."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from http.client import HTTPException
from pathlib import Path

import numpy as np

from benchmarks.load import Load, LoadFailed, run_wrk
from benchmarks.peers.answers import AnswerUnreadable, Verdict, ask, judge
from benchmarks.peers.environments import BUILD, Environment
from benchmarks.peers.forms import Row
from benchmarks.peers.numeric_model import NumericModel
from benchmarks.peers.peer import Peer, Site
from benchmarks.servers import Memory, Server, ServerFailed, choose_cores, post, run_server
from tests.processes import clean_environment, free_port

CONNECTIONS = (1, 16)
N_CHECKED = 50  # rows that are asked for one by one before anything is timed
N_DISTINCT = 2_000  # single rows that wrk sends in turn
_PREPARES_WITHIN_S = 300
_STARTS_WITHIN_S = 120  # Ray takes 20 on a free core
_FAILURES = (AnswerUnreadable, HTTPException, LoadFailed, OSError, ServerFailed, subprocess.TimeoutExpired)


@dataclass(frozen=True)
class Visit:
    """
    What was found of a server in one turn.

    Attributes
    ----------
    start_s : float
        From the start of the process to its first answer.
    memory : Memory
        Of all its processes, at rest after a few answers.
    verdict : Verdict or None
        None of a server that predicts nothing.
    single : mapping of int to Load
        One row a request, by the number of connections.
    batch : Load or None
        All rows in one request, one after the other.
    """

    start_s: float
    memory: Memory
    verdict: Verdict | None
    single: Mapping[int, Load]
    batch: Load | None


@dataclass(frozen=True)
class Failure:
    """Why there is nothing to tell of a server."""

    reason: str


def visit(peer: Peer, environment: Environment, model: NumericModel, seconds: float) -> Visit | Failure:
    """
    Start a server, ask it and end it; what goes wrong with it is told, and leaves the others alone.

    Parameters
    ----------
    peer : Peer
    environment : Environment
    model : NumericModel
    seconds : float
        How long each load lasts.
    """
    folder = BUILD / peer.name
    site = Site(peer.name, environment, model, folder / "home", free_port())
    try:
        return _visit(peer, site, folder / "run", seconds)
    except _FAILURES as error:
        return Failure(f"{type(error).__name__}: {error}")


def _visit(peer: Peer, site: Site, folder: Path, seconds: float) -> Visit:
    shutil.rmtree(folder, ignore_errors=True)  # with the logs of the last run
    folder.mkdir(parents=True)
    site.home.mkdir(exist_ok=True)
    variables = clean_environment(
        site.home,
        PATH=f"{site.environment.bin}:/usr/local/bin:/usr/bin:/bin",
        OMP_NUM_THREADS="1",
        MODEL_FILE=str(site.model.booster_file),
        **peer.variables(site),
    )
    if peer.prepare is not None:
        _prepare(peer.prepare(site), variables, folder)
    first = peer.form.encode(site.model.names, site.model.rows[:1])

    def is_answered(port: int) -> bool:
        return bool(post(port, peer.path, first))

    core, _ = choose_cores()
    command = peer.command(site)
    with run_server(
        command, variables, folder, site.port, is_answered, core=core, starts_within_s=_STARTS_WITHIN_S
    ) as server:
        return _measure(peer, server, site.model, seconds)


def _prepare(command: list[str], variables: Mapping[str, str], folder: Path) -> None:
    done = subprocess.run(
        command, env=variables, cwd=folder, capture_output=True, text=True, check=False, timeout=_PREPARES_WITHIN_S
    )
    if done.returncode:
        raise ServerFailed(f"{command} ended with status {done.returncode}: {(done.stdout + done.stderr)[-2000:]}")


def _measure(peer: Peer, server: Server, model: NumericModel, seconds: float) -> Visit:
    def send(body: bytes) -> bytes:
        return post(server.port, peer.path, body)

    def load(rows_of_bodies: Sequence[Sequence[Row]], connections: int) -> Load:
        bodies = server.folder / "bodies"
        bodies.write_bytes(b"".join(peer.form.encode(model.names, rows) + b"\n" for rows in rows_of_bodies))
        _, core = choose_cores()
        return run_wrk(server.port, bodies, path=peer.path, connections=connections, seconds=seconds, core=core)

    singles = [model.rows[at : at + 1] for at in range(N_DISTINCT)]
    if peer.is_ceiling:
        for body in singles[:N_CHECKED]:
            send(peer.form.encode(model.names, body))
        memory, verdict, batch = server.memory(), None, None
    else:
        found = [prediction for rows in singles[:N_CHECKED] for prediction in ask(send, peer.form, model.names, rows)]
        memory = server.memory()
        found += ask(send, peer.form, model.names, model.rows)
        verdict = judge(found, np.concatenate([model.predictions[:N_CHECKED], model.predictions]))
        batch = load([model.rows], connections=1)
    by_connections = {connections: load(singles, connections) for connections in CONNECTIONS}
    return Visit(server.start_s, memory, verdict, by_connections, batch)
