"""Looks at the registry again and again, in threads of their own, and tells what was found."""

from __future__ import annotations

import logging
import random
import threading
from collections.abc import Callable
from typing import Protocol

from app.backoff import pause_before
from app.compatibility import Interface
from app.metrics import Metrics
from app.model_version import Role
from app.preparation.last_verified import LastVerified
from app.registry.registry import Registry
from app.rollout import Prepare, Watch
from app.settings import Settings
from app.standing import Standing

log = logging.getLogger(__name__)

_JITTER = 0.1  # of a pause, or replicas that were started together would ask together for ever
_FIRST_PAUSE_S = 1.0  # while nothing serves; twice as long each time

# Returns why a version cannot serve where it was told, if it cannot.
Tell = Callable[[Role, Standing], str | None]


class Source(Protocol):
    """Whoever tells how things stand: `RegistryWatch`, or another process that has one."""

    def start(self, tell: Tell) -> None:
        """Begin to call `tell`, from other threads, with what may be nothing new."""

    def refresh(self) -> None:
        """Look at the registry now."""

    def close(self) -> None:
        """Tell nothing new any more."""


class RegistryWatch:
    """Watches the URIs of champion and challenger, each in a thread that waits for the registry as no request does."""

    def __init__(
        self, settings: Settings, registry: Registry, prepare: Prepare, last_verified: LastVerified, metrics: Metrics
    ) -> None:
        self._settings = settings
        uris = {Role.CHAMPION: settings.model_uri, Role.CHALLENGER: settings.challenger_uri}
        self._watches = {
            role: Watch(role, uri, registry, prepare, last_verified, metrics, self._interface_to_keep)
            for role, uri in uris.items()
            if uri
        }
        self._wakes = {role: threading.Event() for role in self._watches}
        self._asked: set[Role] = set()  # about which somebody wants to know now
        self._failures: dict[Role, str] = {}  # that other processes have told
        self._is_closed = False

    def start(self, tell: Tell) -> None:
        """Begin, with a look at once."""
        for role in self._watches:
            # Daemons: a download that hangs holds up no exit.
            threading.Thread(target=self._poll, args=(role, tell), name=f"watch-{role}", daemon=True).start()

    def refresh(self) -> None:
        """Look now, whatever the URIs are; a version that was rejected is tried again."""
        self._asked.update(self._wakes)
        for wake in self._wakes.values():
            wake.set()

    def close(self) -> None:
        """Look no more; a look that has begun is left to itself."""
        self._is_closed = True
        self.refresh()

    def distrust(self, role: Role, failure: str) -> None:
        """Note that another process could not read what was prepared, which is looked at then."""
        if not self._watches[role].is_held_back:
            self._failures[role] = failure
            self._wakes[role].set()

    def _poll(self, role: Role, tell: Tell) -> None:
        watch, is_asked, n_vain = self._watches[role], False, 0
        while not self._is_closed:
            pause_s: float | None = _FIRST_PAUSE_S
            if role is Role.CHALLENGER and not self._watches[Role.CHAMPION].interface:
                self._wakes[role].wait(pause_s)  # it could be compared with nothing
                continue
            try:
                if failure := self._failures.pop(role, None):
                    watch.distrust(failure)
                standing = watch.check(at_once=is_asked)
                self._failures.pop(role, None)  # they were told of what stood before
                if failure := tell(role, standing):
                    watch.distrust(failure)
                else:
                    n_vain = 0 if standing.prepared else n_vain + 1
                    pause_s = self._pause_s(standing, n_vain)
            except Exception:  # a fault of ours, or no memory, which must not end the watch
                log.exception("the registry could not be looked at; it is tried again")
            if self._wakes[role].wait(pause_s):
                self._wakes[role].clear()
            is_asked = role in self._asked
            self._asked.discard(role)

    def _pause_s(self, standing: Standing, n_vain: int) -> float | None:
        if standing.is_hopeless or (standing.is_pinned and standing.is_confirmed):
            return None
        pause_s = self._settings.poll_interval_s
        if n_vain:
            pause_s = pause_before(n_vain, _FIRST_PAUSE_S, pause_s)
        return pause_s * random.uniform(1 - _JITTER, 1 + _JITTER)  # noqa: S311  nothing secret

    def _interface_to_keep(self) -> Interface | None:
        """What callers go by, challenger or not, unless they are said to be ready for anything."""
        return self._watches[Role.CHAMPION].interface if self._settings.signature_policy == "same" else None
