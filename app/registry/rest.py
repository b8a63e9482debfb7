"""A question to an MLflow server, answered within a bounded time: by one GET of its REST API where all is well."""

from __future__ import annotations

import threading
from concurrent.futures import Future

from app.errors import ModelNotFound, RegistryUnreachable
from app.model_version import ModelVersion
from app.registry.query import RegistryQuery
from app.registry.server import MlflowServer

_TIMEOUT_S = 10.0  # for everything, from the look-up of the host to the last byte
# Questions that wait beyond their time. Some end only when the server does, which may say a byte now and then.
_asking = threading.BoundedSemaphore(8)


def ask_rest(query: RegistryQuery, tracking_uri: str) -> ModelVersion:
    """
    Answer a query from an MLflow server.

    Raises
    ------
    ModelNotFound
        If the server has no such model, version or alias.
    RegistryUnreachable
        If it does not answer in time, refuses us, or answers something else.
    """
    server = MlflowServer(tracking_uri)
    answer: Future[ModelVersion] = Future()

    def ask() -> None:
        try:
            answer.set_result(_ask(query, server))
        except BaseException as error:
            answer.set_exception(error)
        finally:
            _asking.release()

    if not _asking.acquire(blocking=False):
        raise RegistryUnreachable(
            f"the MLflow server at {server.name} has not answered what it was asked before; check that the server runs"
        )
    # requests bounds each wait, and not their sum: a server may send a byte a second. A daemon, so that it holds up
    # no exit then.
    try:
        threading.Thread(target=ask, name="registry", daemon=True).start()
    except RuntimeError:  # there is no thread left for it
        _asking.release()
        raise
    try:
        return answer.result(_TIMEOUT_S)
    except TimeoutError:
        raise RegistryUnreachable(
            f"the MLflow server at {server.name} does not answer within {_TIMEOUT_S:g} s; "
            "check MLFLOW_TRACKING_URI and that the server runs"
        ) from None


def _ask(query: RegistryQuery, server: MlflowServer) -> ModelVersion:
    if query.alias:
        answer = server.find("registered-models/alias", name=query.name, alias=query.alias)
    else:
        answer = server.find("model-versions/get", name=query.name, version=str(query.version))
    if answer is None:
        raise _explain_absence(query, server)
    try:
        found = answer["model_version"]
        version, status, run_id = str(found["version"]), found.get("status", "READY"), found.get("run_id") or None
    except (KeyError, TypeError, AttributeError) as error:
        raise RegistryUnreachable(server.say_foreign(type(error).__name__)) from None
    return query.found(version, status, run_id, f"models:/{query.name}/{version}")


def _explain_absence(query: RegistryQuery, server: MlflowServer) -> ModelNotFound:
    """What is not there, the model or the version of it, and what is there instead."""
    try:
        model = server.find("registered-models/get", name=query.name)
        if model is None:
            return query.no_model(f"the registry at {server.name}")
        if query.alias:
            known = sorted(str(alias["alias"]) for alias in model["registered_model"].get("aliases", ()))
        else:
            newest = {"filter": query.filter, "order_by": "version_number DESC", "max_results": "20"}
            found = server.find("model-versions/search", **newest) or {}
            known = [str(version["version"]) for version in found.get("model_versions", ())]
    except (RegistryUnreachable, KeyError, TypeError, AttributeError):
        return query.no_version()  # which it has said; that it does not say more is no reason to say less
    return query.no_version(known)
