"""What is counted and said when one model version takes another's place, or cannot."""

from __future__ import annotations

import logging

from app.errors import CacheUnwritable, RegistryUnreachable
from app.metrics import Metrics
from app.model_version import ModelVersion, Role
from app.predictor import Predictor
from app.standing import Standing

log = logging.getLogger(__name__)

# What is no fault of the version's.
_REJECTED = dict.fromkeys((CacheUnwritable.__name__, RegistryUnreachable.__name__), "cannot be made ready")
_SETTINGS = {Role.CHAMPION: "TREESERVE_MODEL_URI", Role.CHALLENGER: "TREESERVE_CHALLENGER_URI"}


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


def tell_trouble(role: Role, standing: Standing, rejected: ModelVersion | None) -> None:
    """
    Log why what the registry names does not serve.

    Parameters
    ----------
    standing : Standing
        With a trouble.
    rejected : ModelVersion or None
        What the registry names; None if it has not said.
    """
    assert standing.trouble is not None
    if role is Role.CHALLENGER and not rejected:
        level = logging.INFO if standing.is_absent else logging.WARNING  # there need not be one
    else:
        level = logging.ERROR if standing.prepared or rejected else logging.CRITICAL
    nothing = "no model serves" if role is Role.CHAMPION else "there is no challenger"
    log.log(
        level,
        "%s; %s: %s",
        f"{standing.prepared.version} serves on" if standing.prepared else nothing,
        f"{rejected} {_REJECTED.get(standing.trouble.kind, 'is rejected')}"
        if rejected
        else f"{_SETTINGS[role]}={standing.uri}",
        standing.trouble.reason,
        extra={"ecs": {"error.type": standing.trouble.kind}},
    )


def tell_recovery(role: Role, standing: Standing) -> None:
    """Log that all is well again."""
    assert standing.prepared is not None
    log.info("%s=%s is %s again, as the registry says", _SETTINGS[role], standing.uri, standing.prepared.version)


def _labels(role: Role, predictor: Predictor) -> tuple[str, ...]:
    version = predictor.version
    return role, version.name, version.version, version.alias or "", version.run_id or ""
