"""What is counted and said when one predictor takes another's place."""

from __future__ import annotations

import logging

from app.metrics import Metrics
from app.model_version import Role
from app.predictor import Predictor

log = logging.getLogger(__name__)


def record_swap(
    metrics: Metrics, role: Role, before: Predictor | None, now: Predictor | None, duration_s: float
) -> None:
    """
    Count and log a swap.

    Parameters
    ----------
    before, now : Predictor or None
        Who served, and who does.
    duration_s : float
        What it took to have it ready.
    """
    if before:
        metrics.model_info.remove(*_labels(role, before))
    if now is None:
        log.info("there is no %s any more", role)
        return
    if before:
        metrics.swaps.labels(role).inc()
    metrics.model_info.labels(*_labels(role, now)).set(1)
    if role is Role.CHAMPION:
        metrics.kernel_disagrees.set(now.evaluator.has_disagreed)
        metrics.model_load_duration.set(duration_s)
    log.info(
        "%s serves as %s%s, %d features, evaluated by %s%s, ready in %.2f s",
        now.version,
        role,
        f" in place of version {before.version.version}" if before else "",
        now.signature.n_features,
        now.evaluator.name,
        f" ({now.evaluator.reason})" if now.evaluator.reason else "",
        duration_s,
        extra={"ecs": {"treeserve.model.name": now.version.name, "treeserve.model.version": now.version.version}},
    )
    if now.evaluator.has_disagreed:
        log.warning("the kernel differs from XGBoost on %s; please report it with the model", now.version)


def _labels(role: Role, predictor: Predictor) -> tuple[str, ...]:
    version = predictor.version
    return role, version.name, version.version, version.alias or "", version.run_id or ""
