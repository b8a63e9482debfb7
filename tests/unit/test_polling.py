"""The registry is looked at again and again, never by a request, and not where it has no more to say."""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import CollectorRegistry

from app import polling as polling_module
from app import standing as standing_module
from app.errors import ModelNotFound, RegistryUnreachable
from app.metrics import Metrics
from app.model_version import ModelVersion, Role
from app.polling import RegistryWatch
from app.preparation.last_verified import LastVerified
from app.preparation.prepare import prepare
from app.settings import Settings
from app.standing import Standing
from tests.services import FakeRegistry

SOON_S = 20.0
ALIAS = "models:/flight-delay@champion"


class Polled:
    """A registry that is polled, and what was told."""

    def __init__(self, registry: Any, folder: Path, *, is_started: bool = True, **settings: Any) -> None:
        self.registry = registry
        self.told: queue.SimpleQueue[tuple[Role, Standing]] = queue.SimpleQueue()
        self.watch = RegistryWatch(
            Settings.model_validate({"model_uri": ALIAS, "poll_interval_s": 0.01} | settings),
            registry,
            lambda version: prepare(version, registry, [folder / "prepared"]),
            LastVerified(folder / "last", "store"),
            Metrics(CollectorRegistry()),
        )
        if is_started:
            self.watch.start(lambda role, standing: self.told.put((role, standing)))

    def next(self, role: Role = Role.CHAMPION) -> Standing:
        """What is told next of a role."""
        while True:
            told, standing = self.told.get(timeout=SOON_S)
            if told is role:
                return standing

    def is_quiet(self) -> bool:
        """Whether nothing is told for some time."""
        try:
            self.told.get(timeout=0.3)
        except queue.Empty:
            return True
        return False


@pytest.fixture
def registry(model_folder: Path) -> FakeRegistry:
    """Version 7, for every URI."""
    return FakeRegistry(model_folder)


@pytest.fixture
def polled(registry: FakeRegistry, tmp_path: Path) -> Iterator[Any]:
    """Makes what is polled, and ends it."""
    made: list[Polled] = []

    def make(**settings: Any) -> Polled:
        made.append(Polled(registry, tmp_path, **settings))
        return made[-1]

    yield make
    for one in made:
        one.watch.close()


def test_an_alias_is_looked_at_again_and_again(polled: Any) -> None:
    """And every look is told."""
    one = polled()
    assert [one.next().is_confirmed for _ in range(5)] == [True] * 5


def test_a_pinned_version_is_looked_at_until_it_is_confirmed(polled: Any, registry: FakeRegistry) -> None:
    """And again when an operator asks."""
    registry.failure = RuntimeError("x")
    one = polled(model_uri="models:/flight-delay/7")
    assert not one.next().is_confirmed
    assert not one.next().is_confirmed
    registry.failure = None
    while not one.next().is_confirmed:
        pass
    assert one.is_quiet()
    one.watch.refresh()
    assert one.next().is_confirmed
    assert one.is_quiet()


def test_what_is_hopeless_is_asked_no_more(polled: Any, registry: FakeRegistry) -> None:
    """Another answer cannot come."""
    registry.failure = ModelNotFound("x")
    one = polled(model_uri="models:/flight-delay/7")
    assert one.next().is_hopeless
    assert one.is_quiet()


def test_a_refresh_does_not_wait_for_the_interval(polled: Any) -> None:
    """Whoever has moved the alias wants it now."""
    one = polled(poll_interval_s=3600)
    one.next()
    assert one.is_quiet()
    one.watch.refresh()
    one.next()


def test_while_nothing_serves_it_looks_sooner(polled: Any, registry: FakeRegistry) -> None:
    """A start waits for the registry for seconds, not for the interval."""
    registry.failure = RuntimeError("x")
    one = polled(poll_interval_s=3600)
    for _ in range(2):
        assert one.next().prepared is None


def test_a_registry_that_hangs_holds_up_nobody_who_closes(polled: Any, registry: FakeRegistry) -> None:
    """The thread is left to itself."""
    registry.may_fetch.clear()
    one = polled()
    one.watch.close()
    registry.may_fetch.set()
    one.next()
    assert one.is_quiet()


def test_the_challenger_has_a_thread_of_its_own(polled: Any, registry: FakeRegistry) -> None:
    """A download of its that hangs holds up no promotion."""
    hangs = threading.Event()
    resolve = registry.resolve

    def resolve_slowly(uri: str) -> ModelVersion:
        if "challenger" in uri:
            assert hangs.wait(SOON_S)
        return resolve(uri)

    registry.resolve = resolve_slowly  # type: ignore[method-assign]
    one = polled(challenger_uri="models:/flight-delay@challenger")
    for _ in range(3):
        assert one.next().is_confirmed
    hangs.set()
    assert one.next(Role.CHALLENGER).is_confirmed


@pytest.mark.parametrize(("policy", "is_confirmed"), [("same", False), ("any", True)])
def test_the_policy_says_whether_the_signature_may_change(
    polled: Any, registry: FakeRegistry, monkeypatch: pytest.MonkeyPatch, policy: str, is_confirmed: bool
) -> None:
    """For the challenger too, who may be asked as a canary."""
    monkeypatch.setattr("app.compatibility.find_contradictions", lambda *_: ["'wind' is gone"])
    one = polled(signature_policy=policy, challenger_uri="models:/flight-delay@challenger")
    assert one.next().is_confirmed
    registry.version = "8"
    for role in Role:
        while (standing := one.next(role)).trouble is None:
            if standing.prepared and standing.prepared.version.version == "8":
                break
        assert (standing.trouble is None) is is_confirmed
        assert standing.trouble is None or standing.trouble.kind == "SignatureChanged"


def test_a_look_that_cannot_be_told_is_not_the_last(registry: FakeRegistry, tmp_path: Path) -> None:
    """A fault of ours must not keep a service from every later version."""
    told: queue.SimpleQueue[Standing] = queue.SimpleQueue()

    def fail(_: Role, standing: Standing) -> None:
        told.put(standing)
        raise RuntimeError

    again = RegistryWatch(
        Settings(model_uri=ALIAS, poll_interval_s=0.01),
        registry,
        lambda version: prepare(version, registry, [tmp_path / "prepared"]),
        LastVerified(tmp_path / "last", "store"),
        Metrics(CollectorRegistry()),
    )
    again.start(fail)
    for _ in range(3):
        told.get(timeout=SOON_S)
    again.close()


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pauses are a fiftieth of what they are."""
    monkeypatch.setattr(standing_module, "_FIRST_RETRY_S", 0.3)
    monkeypatch.setattr(polling_module, "_FIRST_PAUSE_S", 0.02)


class Reader:
    """A process that cannot read the first `n_failing` times."""

    def __init__(self, n_failing: float) -> None:
        self.n_failing = n_failing
        self.n_read = 0
        self.reads = threading.Event()

    def read(self) -> str | None:
        """Why it cannot, if it cannot."""
        self.n_read += 1
        if self.n_read <= self.n_failing:
            return "no memory"
        self.reads.set()
        return None


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize("is_told_later", [True, False])
def test_a_reader_that_fails_in_passing_reads_at_last(polled: Any, *, is_told_later: bool) -> None:
    """Whether it is the process itself or a worker of it; between two tries there are pauses."""
    reader = Reader(3)
    one = polled(poll_interval_s=0.05, is_started=False)

    def tell(role: Role, _: Standing) -> str | None:
        failure = reader.read()
        if failure and is_told_later:
            one.watch.distrust(role, failure)
            return None
        return failure

    one.watch.start(tell)
    assert reader.reads.wait(SOON_S)


@pytest.mark.usefixtures("impatient")
def test_what_no_worker_can_read_is_not_looked_at_without_pause(polled: Any) -> None:
    """It is tried later and later."""
    reader = Reader(float("inf"))
    one = polled(poll_interval_s=60, is_started=False)

    def tell(role: Role, _: Standing) -> None:
        if failure := reader.read():
            one.watch.distrust(role, failure)

    one.watch.start(tell)
    threading.Event().wait(0.5)
    assert 2 <= reader.n_read <= 4


def test_a_failure_that_was_told_of_what_stood_before_is_forgotten(polled: Any, registry: FakeRegistry) -> None:
    """A worker may be told, fail and say so while the next is prepared."""
    registry.may_fetch.clear()
    one = polled(poll_interval_s=60, is_started=False)
    told: queue.SimpleQueue[Standing] = queue.SimpleQueue()
    one.watch.start(lambda _, standing: told.put(standing))
    one.watch.distrust(Role.CHAMPION, "is not whole")
    registry.may_fetch.set()
    assert told.get(timeout=SOON_S).is_confirmed
    assert one.is_quiet()


def test_a_challenger_waits_until_it_is_known_what_callers_go_by(polled: Any, registry: FakeRegistry) -> None:
    """Or one with another signature would be let in."""
    registry.failure = RegistryUnreachable("x")
    one = polled(poll_interval_s=0.02, challenger_uri="models:/flight-delay@challenger")
    threading.Event().wait(0.2)
    registry.failure = None
    order = [one.told.get(timeout=SOON_S) for _ in range(60)]
    first = next(place for place, (role, _) in enumerate(order) if role is Role.CHALLENGER)
    assert any(role is Role.CHAMPION and standing.is_confirmed for role, standing in order[:first])
