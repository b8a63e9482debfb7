"""Callers of the deployment's Service, while something happens to it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.cluster.deployment import Deployment
from tests.e2e.faults.records import KUBERNETES, keep_record


class Callers:
    """Some keep their connections and others make one for each request; none of them may lose anything."""

    def __init__(self, request: pytest.FixtureRequest, deployment: Deployment) -> None:
        self._request = request
        self._loads = [deployment.load(keeps=True), deployment.load(keeps=False)]

    @contextmanager
    def asking(self, seen: str) -> Iterator[None]:
        """Ask while the block runs, and some time before and after; what is seen, if nobody loses anything."""
        with self._loads[0], self._loads[1]:
            self._go_on()
            yield
            self._go_on()
        keep_record(self._request, self._loads, seen, table=KUBERNETES)
        for load in self._loads:
            load.assert_flawless()

    def wait_for(self, version: str) -> None:
        """Go on until everybody is answered by a version."""
        for load in self._loads:
            load.wait_for(version)

    def _go_on(self) -> None:
        for load in self._loads:
            load.go_on()
