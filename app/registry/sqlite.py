"""
One read of MLflow's own tables, for a store that is an SQLite file.

Tables and columns are those of MLflow 3.17 (``mlflow/store/model_registry/dbmodels``); its
REST server is the stable interface, and a file has none.
"""

from __future__ import annotations

import sqlite3
from contextlib import closing
from urllib.parse import quote

from app.errors import ModelNotFound, RegistryUnreachable
from app.model_version import ModelVersion
from app.registry.query import RegistryQuery
from app.registry.store import sqlite_path

_TIMEOUT_S = 5.0

_BY_VERSION = """
SELECT version, run_id, status, COALESCE(storage_location, source)
FROM model_versions
WHERE name = :name AND version = CAST(:version AS INTEGER) AND current_stage <> 'Deleted_Internal'
"""
_BY_ALIAS = """
SELECT v.version, v.run_id, v.status, COALESCE(v.storage_location, v.source)
FROM model_versions v JOIN registered_model_aliases a ON a.name = v.name AND a.version = v.version
WHERE a.name = :name AND a.alias = :alias
"""
_VERSIONS = """
SELECT version FROM model_versions WHERE name = :name AND current_stage <> 'Deleted_Internal' ORDER BY version DESC
"""
_ALIASES = "SELECT alias FROM registered_model_aliases WHERE name = :name ORDER BY alias"


def ask_sqlite(query: RegistryQuery, tracking_uri: str) -> ModelVersion:
    """
    Answer a query from the store's file.

    Raises
    ------
    ModelNotFound
        If there is no store yet, or it has no such model, version or alias.
    RegistryUnreachable
        If the file is not MLflow's, or is locked.
    """
    path = sqlite_path(tracking_uri)
    if not path.is_file():
        raise ModelNotFound(
            f"there is no MLflow store at {path}; bring it back if there was one, else train and register the example "
            "(make train), or set MLFLOW_TRACKING_URI to a store that has the model"
        )
    try:
        with closing(sqlite3.connect(f"file:{quote(str(path))}?mode=ro", uri=True, timeout=_TIMEOUT_S)) as store:
            return _read(store, query)
    except sqlite3.Error as error:
        raise RegistryUnreachable(f"{path} cannot be read as an MLflow store: {error}") from None


def _read(store: sqlite3.Connection, query: RegistryQuery) -> ModelVersion:
    wanted = {"name": query.name, "alias": query.alias, "version": query.version}
    row = store.execute(_BY_ALIAS if query.alias else _BY_VERSION, wanted).fetchone()
    if row is None:
        models = [name for (name,) in store.execute("SELECT name FROM registered_models ORDER BY name")]
        if query.name not in models:
            raise query.no_model("the registry", known=models)
        raise query.no_version([str(one) for (one,) in store.execute(_ALIASES if query.alias else _VERSIONS, wanted)])
    version, run_id, status, source = row
    return query.found(str(version), status, run_id, str(source))
