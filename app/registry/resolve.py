"""
A model URI to the model version it means now, without importing MLflow.

`import mlflow` takes two seconds and a hundred megabytes, so the question is asked in one HTTP GET, within a
bounded time, or in one read where the store is an SQLite file. Other stores are asked by a child process that
imports MLflow and ends.
"""

from __future__ import annotations

import hashlib
import re
from pathlib import Path
from urllib.parse import unquote, urlsplit

import yaml

from app.errors import ModelNotFound, ModelUriInvalid
from app.model_version import ModelVersion
from app.registry import child
from app.registry.query import RegistryQuery
from app.registry.rest import ask_rest
from app.registry.sqlite import ask_sqlite
from app.registry.store import NOT_SET

_REGISTERED = re.compile(r"models:/(?P<name>[^/@]+)(?:@(?P<alias>[^/@]+)|/(?P<version>[0-9]+))")
_LOGGED = re.compile(r"models:/(?P<model_id>m-[0-9a-f]+)")
_RUN_ID = re.compile(r"runs:/[0-9a-f]{32}(?:/|$)")
_LOGGED_BY = re.compile(rb"^run_id: ([0-9a-f]{32})$", re.MULTILINE)
REGISTRATION = "registered_model_meta"  # as MLflow calls it, and writes it
_RUN = re.compile(r"runs:/(?P<run_id>[0-9a-f]{32})/(?P<path>.+)")


def names_alias(uri: str) -> bool:
    """Whether a URI names an alias, which may come to mean another version."""
    found = _REGISTERED.fullmatch(uri)
    return found is not None and found["alias"] is not None


def resolve_model_uri(uri: str, registry_uri: str) -> ModelVersion:
    """
    Which model version a URI means now.

    Parameters
    ----------
    uri : str
        ``models:/name@alias``, ``models:/name/version``, ``models:/m-…`` (a logged model),
        ``runs:/…/path``, an artifact-store URI or a local directory.
    registry_uri : str
        Where registered models are, as `app.registry.store.registry_uri` gives it; empty where there is no registry.

    Raises
    ------
    ModelUriInvalid
        If the URI has none of these forms, or is one of MLflow's where there is no registry.
    ModelNotFound
        If the registry has no such model, version or alias, or the directory is not there.
    RegistryUnreachable
        If nobody answers.
    """
    scheme = urlsplit(uri).scheme
    if scheme in ("models", "runs", "mlflow-artifacts") and not registry_uri:
        raise ModelUriInvalid(f"{NOT_SET}, and {uri} is on a server; set it, or name a folder")
    if found := _REGISTERED.fullmatch(uri):
        return _ask_registry(RegistryQuery(found["name"], found["alias"], found["version"]), registry_uri)
    if found := _RUN.fullmatch(uri):
        return ModelVersion(Path(found["path"]).name, found["run_id"], None, found["run_id"], uri, is_immutable=False)
    if found := _LOGGED.fullmatch(uri):
        return ModelVersion(found["model_id"], found["model_id"], None, None, uri, is_immutable=True)
    if scheme in ("", "file"):
        return _resolve_folder(Path(unquote(urlsplit(uri).path)) if scheme else Path(uri))
    if scheme in ("models", "runs"):
        hint = "" if scheme == "models" or _RUN_ID.match(uri) else "; a run id has 32 hexadecimal digits, 0-9 and a-f"
        raise ModelUriInvalid(
            f"{uri!r} does not name a model version; write models:/name@alias, models:/name/version or "
            f"runs:/run_id/path{hint}"
        )
    return ModelVersion(_last_step(uri), _digest(uri.encode()), None, None, uri, is_immutable=False)


def _ask_registry(query: RegistryQuery, registry_uri: str) -> ModelVersion:
    scheme = urlsplit(registry_uri).scheme
    if scheme in ("http", "https"):
        return ask_rest(query, registry_uri)
    if scheme == "sqlite":
        return ask_sqlite(query, registry_uri)
    return child.resolve(query, registry_uri)


def _resolve_folder(folder: Path) -> ModelVersion:
    """
    A local directory has no registry to number it: its `MLmodel`, which names a unique id, does.

    But where MLflow downloads a registered model's version to, it says so in a file of its own.
    """
    try:
        described = (folder / "MLmodel").read_bytes()
    except OSError:
        raise ModelNotFound(
            f"{folder} is not a folder with an MLmodel file; name a folder that MLflow logged, or a URI such as "
            "models:/name@alias"
        ) from None
    folder = folder.resolve()
    name, version = _read_registration(folder) or (folder.name, _digest(described))
    run_id = _LOGGED_BY.search(described)
    return ModelVersion(name, version, None, run_id[1].decode() if run_id else None, str(folder), is_immutable=False)


def _read_registration(folder: Path) -> tuple[str, str] | None:
    """The registered model and the version that a folder was downloaded as, if it was."""
    try:
        found = yaml.safe_load((folder / REGISTRATION).read_bytes())
        return str(found["model_name"]), str(found["model_version"])
    except (OSError, yaml.YAMLError, KeyError, TypeError):
        return None


def _last_step(uri: str) -> str:
    return urlsplit(uri).path.rstrip("/").rsplit("/", 1)[-1] or uri


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:12]
