"""
Which model version answers: the whole way from a model URI to the predictor of a request.

    Watch.check      URI ─ resolve ─ prepare: download, verify, pack, in a child process ─ Standing
    Rollout.follow   Standing ─ read what was prepared, let it answer its trial ─ one assignment ─ predictor

One process watches the registry, and tells those that serve how things stand. Whatever fails on the way is counted,
told and tried again, and what serves goes on serving.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import replace
from typing import TypeVar

from app.acceleration import Accelerate
from app.compatibility import Interface, check_compatible
from app.errors import ModelError, ModelNotFound, ModelNotReady, ModelUnfit
from app.metrics import Metrics
from app.model_version import ModelVersion, Role
from app.predictor import Predictor
from app.preparation.file import read_interface, read_prepared
from app.preparation.last_verified import LastVerified
from app.preparation.prepared import Prepared
from app.registry.registry import Registry
from app.standing import Standing, Trouble
from app.swaps import record_swap, tell_recovery, tell_trouble

log = logging.getLogger(__name__)

Prepare = Callable[[ModelVersion], Prepared]  # raises `ModelError`
T = TypeVar("T")


class Watch:
    """
    What one model URI means, and whether that may serve.

    Attributes
    ----------
    standing : Standing
        As of the last check.
    interface : Interface or None
        Of what shall serve.
    """

    def __init__(
        self,
        role: Role,
        uri: str,
        registry: Registry,
        prepare: Prepare,
        last_verified: LastVerified,
        metrics: Metrics,
        replaces: Callable[[], Interface | None],
    ) -> None:
        """
        Watch a URI.

        Parameters
        ----------
        replaces : callable
            What callers of a new version go by; None if they go by the new one's.
        """
        self._role = role
        self._registry = registry
        self._prepare = prepare
        self._last_verified = last_verified
        self._metrics = metrics
        self._replaces = replaces
        self.standing = Standing(uri)
        self.interface: Interface | None = None
        self._distrusted: Trouble | None = None
        self._is_withdrawn = False

    def check(self, *, at_once: bool = False) -> Standing:
        """
        Ask the registry, and prepare what it names if that is new; blocks as long as that takes, and never fails.

        Parameters
        ----------
        at_once : bool
            Whether a version that was rejected is tried again before it is due.
        """
        before, began_s = self.standing, time.monotonic()
        version: ModelVersion | None = None
        try:
            version = _call(self._registry.resolve, before.uri)
            if at_once or not (before.trouble and before.trouble.holds_back(version)):
                prepared = self._bring(version)
                now_s = time.monotonic()
                took_s = before.prepared_in_s if prepared == before.prepared else now_s - began_s
                self.standing = Standing(before.uri, prepared, now_s, took_s)
                if before.trouble:
                    tell_recovery(self._role, self.standing)
        except ModelError as error:
            self.standing = self._stay(error, version)
        trouble = self.standing.trouble
        is_answered = version is not None or (trouble is not None and trouble.kind == ModelNotFound.__name__)
        self._metrics.registry_checks.labels("answered" if is_answered else "failed").inc()
        return self.standing

    @property
    def is_held_back(self) -> bool:
        """Whether a process could not read what was prepared, and it is too early to look at that again."""
        trouble, prepared = self.standing.trouble, self.standing.prepared
        return bool(trouble and trouble is self._distrusted and prepared and trouble.holds_back(prepared.version))

    def distrust(self, failure: str) -> None:
        """
        Note that a process could not read what was prepared.

        Who finds it damaged throws it away; so it is prepared anew, the first time at once.
        """
        before = self.standing
        if before.prepared is None or self.is_held_back:
            return
        version = before.prepared.version.version
        self._distrusted = trouble = Trouble.of(ModelUnfit(failure), version, self._distrusted, retries_at_once=True)
        self._metrics.rejections.labels(self._role, trouble.kind).inc()
        self.standing = replace(before, trouble=trouble)

    def _bring(self, version: ModelVersion) -> Prepared:
        """The version, ready to serve: it serves already, or is verified now."""
        known = self.standing.prepared
        if known and known.version == version and known.file.is_file():
            if self._last_verified.recall(self.standing.uri) is None:  # somebody has emptied the folder
                self._last_verified.remember(self.standing.uri, known)
            return known
        log.info("%s is %s, which is made ready", self.standing.uri, version)
        prepared = _call(self._prepare, version)
        interface, replaced = _call(read_interface, prepared), self._replaces()
        # What has answered under this URI may always come back: a rollback must not depend on what came after it. A
        # challenger is to take whatever the champion does, though, and may have been the champion of another service.
        is_known = self._role is Role.CHAMPION and self._last_verified.has_served(self.standing.uri, version)
        if replaced and not is_known:
            check_compatible(replaced, interface)
        self.interface, self._is_withdrawn = interface, False
        self._last_verified.remember(self.standing.uri, prepared)
        return prepared

    def _stay(self, error: ModelError, rejected: ModelVersion | None) -> Standing:
        """How things stand when the registry does not answer, or names a version that cannot serve."""
        before = self.standing
        trouble = Trouble.of(error, rejected.version if rejected else None, before.trouble)
        if self._role is Role.CHALLENGER and rejected is None and isinstance(error, ModelNotFound):
            self._is_withdrawn = True  # there is none, or none any more
            self._last_verified.forget(before.uri)
        known = before.prepared if before.prepared and before.prepared.file.is_file() else None
        prepared = None if self._is_withdrawn else known or self._recall(rejected) or before.prepared
        if rejected:
            self._metrics.rejections.labels(self._role, trouble.kind).inc()
        standing = replace(before, prepared=prepared, trouble=trouble)
        if before.trouble is None or before.trouble.reason != trouble.reason:
            tell_trouble(self._role, standing, rejected)
        return standing

    def _recall(self, rejected: ModelVersion | None) -> Prepared | None:
        """What the URI meant when that was verified last, perhaps before this process began."""
        version = self._last_verified.recall(self.standing.uri)
        if version is None or version == rejected:
            return None
        try:
            prepared = _call(self._prepare, version)
            self.interface = _call(read_interface, prepared)
        except ModelError as error:
            log.warning("%s was verified last, and cannot serve either: %s", version, error)
            return None
        log.warning("%s was verified last, and serves from the cache folder", version)
        return prepared


class Rollout:
    """
    The predictors that serve in this process.

    Attributes
    ----------
    predictor, challenger : Predictor or None
        The champion and the challenger, each None before the first. Hold the reference for the length of a request.
    standings : dict of Role to Standing
        As they were told last.
    """

    def __init__(
        self, metrics: Metrics, n_threads: int | None = None, accelerate: Accelerate = lambda predictor, _: predictor
    ) -> None:
        self._metrics = metrics
        self._accelerate = accelerate
        self._n_threads = n_threads  # of each predictor's
        self._serving: dict[Role, Prepared | None] = {}
        self._failures: dict[Role, str] = {}
        self.predictor: Predictor | None = None
        self.challenger: Predictor | None = None
        self.standings: dict[Role, Standing] = {}
        self._began_at_s = time.monotonic()
        metrics.staleness.set_function(self._staleness_s)

    @property
    def current(self) -> Predictor:
        """
        The champion that serves now.

        Raises
        ------
        ModelNotReady
            If none does, with the reason.
        """
        if self.predictor is None:
            standing = self.standings.get(Role.CHAMPION)
            trouble = standing and standing.trouble
            if reason := self._failures.get(Role.CHAMPION) or (trouble and trouble.reason):
                raise ModelNotReady(f"No model version serves: {reason}")
            raise ModelNotReady("The model version is being loaded.")
        return self.predictor

    def follow(self, role: Role, standing: Standing) -> str | None:
        """
        Let serve what shall serve.

        Returns
        -------
        str or None
            Why it cannot serve in this process, if it cannot: what serves goes on then.
        """
        self.standings[role] = standing
        prepared, began_s = standing.prepared, time.monotonic()
        if prepared == self._serving.get(role):
            return None
        try:
            predictor = _call(self._load, prepared) if prepared else None
        except ModelError as error:
            if self._failures.get(role) != str(error):
                log.error("%s cannot serve in this process: %s", prepared and prepared.version, error)
            self._failures[role] = str(error)
            return str(error)
        self._failures.pop(role, None)
        if role is Role.CHAMPION:
            before, self.predictor = self.predictor, predictor
        else:
            before, self.challenger = self.challenger, predictor
        self._serving[role] = prepared
        record_swap(self._metrics, role, before, predictor, standing.prepared_in_s + time.monotonic() - began_s)
        return None

    def _load(self, prepared: Prepared) -> Predictor:
        return self._accelerate(read_prepared(prepared, self._n_threads), prepared.folder)

    def _staleness_s(self) -> float:
        """Seconds since the registry last said that the champion is what it names."""
        standing = self.standings.get(Role.CHAMPION, Standing(""))
        if standing.is_pinned and standing.is_confirmed:
            return 0.0  # it is never asked again
        return time.monotonic() - (standing.confirmed_at_s or self._began_at_s)


def _call(do: Callable[..., T], *arguments: object) -> T:
    """Do what may fail in any way; of what nobody expected, the log has the reason."""
    try:
        return do(*arguments)
    except ModelError:
        raise
    except Exception as error:
        log.exception("a model version could not be brought into service")
        raise ModelError(f"it failed unexpectedly ({type(error).__name__}); the log says why") from error
