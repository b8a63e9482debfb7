"""What comes and is no HTTP request: counted, and told seldom, for whoever sends it may do so as often as he likes."""

from __future__ import annotations

import logging
import time
from http import HTTPStatus

from app.metrics import UNPARSED, Metrics

log = logging.getLogger(__name__)

_TELL_EVERY_S = 60.0


class Unparsed:
    """Counts it, on the event loop's thread alone."""

    def __init__(self, metrics: Metrics) -> None:
        self._requests = metrics.requests.values
        self._n_untold = 0
        self._is_told_until_s = 0.0

    def note(self, status: HTTPStatus, reason: str, caller: tuple[str, int] | None) -> None:
        """Count one that was refused; the first one is told, and later ones at most once a minute, together."""
        self._requests[UNPARSED, str(status.value)] += 1
        self._n_untold += 1
        now_s = time.monotonic()
        if now_s < self._is_told_until_s:
            return
        log.warning(
            "no HTTP request: %s (from %s, and %d more since the last such line); more within %.0f s are only counted",
            reason,
            caller[0] if caller else "an unknown address",
            self._n_untold - 1,
            _TELL_EVERY_S,
        )
        self._n_untold = 0
        self._is_told_until_s = now_s + _TELL_EVERY_S
