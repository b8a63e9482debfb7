"""Compares the servers: visits each in turns, and tells how many times as quick the service is in the same turn."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

from benchmarks.load import find_wrk
from benchmarks.peers.catalogue import ALWAYS, IN_THE_SERVING_ENVIRONMENT, PEERS
from benchmarks.peers.environments import (
    BUILD,
    Environment,
    EnvironmentFailed,
    provide_environment,
    serving_environment,
)
from benchmarks.peers.numeric_model import provide_model
from benchmarks.peers.peer import Peer
from benchmarks.peers.visit import Failure, Visit, visit
from benchmarks.turns import medians, ratios, take_turns

Measure = Callable[[Visit], float]


@dataclass(frozen=True)
class Effort:
    """How often each server is visited, and how long each load lasts."""

    n_turns: int
    seconds: float


FULL, QUICK = Effort(5, 3.0), Effort(1, 1.0)


@dataclass(frozen=True)
class Comparison:
    """
    What was found.

    Attributes
    ----------
    peers : sequence of Peer
    environments : dict of str to Environment or Failure
        By the peer's name.
    turns : list of dict of str to Visit or Failure
        By turn, and the peer's name.
    """

    peers: Sequence[Peer]
    environments: dict[str, Environment | Failure]
    turns: list[dict[str, Visit | Failure]]

    def visits(self, name: str) -> list[Visit]:
        """The visits of one server that went well."""
        return [found for turn in self.turns if isinstance(found := turn[name], Visit)]

    def failure(self, name: str) -> Failure | None:
        """What went wrong with one server first, if anything did."""
        found = [self.environments[name], *(turn[name] for turn in self.turns)]
        return next((failure for failure in found if isinstance(failure, Failure)), None)

    def median(self, name: str, measure: Measure) -> float | None:
        """The median over a server's visits; None without any."""
        visits = self.visits(name)
        return medians([{name: measure(visit)} for visit in visits])[name] if visits else None

    def ratio(self, name: str, reference: str, measure: Measure) -> float | None:
        """How many times another server's measure one's is in the same turn: the median; None without such a turn."""
        both = [
            {name: measure(own), reference: measure(other)}
            for turn in self.turns
            if isinstance(own := turn[name], Visit) and isinstance(other := turn[reference], Visit)
        ]
        return ratios(both, reference)[name] if both else None


def compare(effort: Effort, only: Sequence[str] | None = None) -> Comparison:
    """
    Install what is missing, train the model if need be, and visit the servers in turns.

    Parameters
    ----------
    effort : Effort
    only : sequence of str or None
        The other servers to visit; None visits all.

    Raises
    ------
    LoadFailed
        Without wrk.
    """
    find_wrk()
    chosen = [peer for peer in PEERS if only is None or peer.name in only or peer.name in ALWAYS]
    environments = {peer.name: _provide(peer) for peer in chosen}
    model = provide_model(BUILD / "model")
    failed: dict[str, Failure] = {}

    def measure(peer: Peer) -> Visit | Failure:
        environment = environments[peer.name]
        if isinstance(environment, Failure):
            return environment
        # What failed once is not waited for again.
        found = failed.get(peer.name) or visit(peer, environment, model, effort.seconds)
        if isinstance(found, Failure):
            failed[peer.name] = found
        print(f"{peer.name}: {_summary(found)}", flush=True)
        return found

    turns = take_turns({peer.name: partial(measure, peer) for peer in chosen}, effort.n_turns)
    return Comparison(chosen, environments, turns)


def _provide(peer: Peer) -> Environment | Failure:
    if peer.name in IN_THE_SERVING_ENVIRONMENT:
        return serving_environment()
    try:
        return provide_environment(peer.name)
    except EnvironmentFailed as error:
        return Failure(f"cannot be installed: {error}")


def _summary(found: Visit | Failure) -> str:
    if isinstance(found, Failure):
        return found.reason
    return ", ".join(f"{load.requests_per_s:,.0f} requests/s at {n}" for n, load in found.single.items())
