"""
Which model version answers: from the URI to a verified predictor in service.

Resolve, fetch, load, verify, and only then one assignment that makes it current.
"""

from __future__ import annotations

import logging
import time
from pathlib import Path

from app.errors import ModelError, ModelNotReady
from app.evaluation import choose_evaluator, reads_alike
from app.forest.kernel_forest import KernelForest
from app.metrics import Metrics
from app.model_version import ModelVersion
from app.predictor import Predictor
from app.registry.registry import Registry
from app.verdicts import Verdicts
from app.verification import verify, verify_files

log = logging.getLogger(__name__)


class Rollout:
    """
    Holds the predictor that serves.

    Attributes
    ----------
    predictor : Predictor or None
        The one that serves; None before the first.
    challenger : Predictor or None
        The one that predicts the same beside it; None while there is none.
    failure : ModelError or None
        Why no model version serves, once that is known.
    """

    def __init__(self, registry: Registry, model_uri: str, metrics: Metrics, verdicts: Verdicts) -> None:
        self._registry = registry
        self._model_uri = model_uri
        self._metrics = metrics
        self._verdicts = verdicts
        self.predictor: Predictor | None = None
        self.challenger: Predictor | None = None
        self.failure: ModelError | None = None

    @property
    def current(self) -> Predictor:
        """
        The predictor that serves now; hold the reference for the length of a request.

        Raises
        ------
        ModelNotReady
            If none does, with the reason.
        """
        if self.predictor is None:
            raise ModelNotReady(
                f"No model version serves: {self.failure}" if self.failure else "The model version is being loaded."
            )
        return self.predictor

    def load(self) -> None:
        """
        Bring the model version that the URI names into service; blocks for seconds.

        Raises
        ------
        ModelError
            If it cannot serve; the text says why and what to do.
        """
        started = time.monotonic()
        try:
            version = self._registry.resolve(self._model_uri)
            log.info("%s is %s; fetching and verifying it", self._model_uri, version)
            folder = self._registry.fetch(version)
            predictor = self._load(folder, version)
        except ModelError as error:
            self.failure = error
            log.critical("no model serves: %s", error, extra={"ecs": {"error.type": type(error).__name__}})
            raise
        except Exception as error:  # or the process would load for ever, neither ready nor failed
            log.critical("no model serves: loading it failed", exc_info=error)
            self.failure = ModelError("loading it failed unexpectedly; the log says why")
            raise self.failure from error
        self.predictor = predictor
        version = predictor.version
        duration_s = time.monotonic() - started
        self._metrics.kernel_disagrees.set(predictor.evaluator.has_disagreed)
        self._metrics.model_load_duration.set(duration_s)
        self._metrics.model_info.labels(version.name, version.version, version.alias or "", version.run_id or "").set(1)
        log.info(
            "%s serves, %d features, evaluated by %s, verified in %.2f s",
            version,
            predictor.signature.n_features,
            predictor.evaluator.name,
            duration_s,
            extra={"ecs": {"treeserve.model.name": version.name, "treeserve.model.version": version.version}},
        )

    def _load(self, folder: Path, version: ModelVersion) -> Predictor:
        is_known = self._verdicts.holds(folder)
        if not is_known:
            verify_files(folder)
        loaded = Predictor.load(folder, version, is_kernel_known=is_known)
        verify(loaded)
        if is_known:
            return loaded
        predictor = choose_evaluator(loaded)
        if isinstance(predictor.forest, KernelForest) and reads_alike(folder, loaded):
            self._verdicts.record(folder)
        return predictor
