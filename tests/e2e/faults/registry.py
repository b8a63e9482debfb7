"""A real MLflow server with versions of one model, good ones and poisoned ones, that a test moves the alias between."""

from __future__ import annotations

import os
import shutil
import signal
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import xgboost

from app.artifacts import write_artifact
from tests.boosters import (
    ModelFolderBuilder,
    make_card,
    make_model,
    make_table,
    make_target,
    to_instances,
    train_booster,
    write_golden,
)
from tests.e2e.faults.load import Load
from tests.integration.mlflow_store import MlflowStore
from tests.mlflow_server import run_mlflow_server

NAME = "flight-delay"
ALIAS_URI = f"models:/{NAME}@champion"
_N_INSTANCES = 50


class Registry:
    """
    The server and what is in it.

    Attributes
    ----------
    instances : list of dict
    expected : dict of version to list of float
        XGBoost's own predictions of the instances, by each good version.
    """

    def __init__(self, folder: Path, port: int, empty_database: Path, host: str = "127.0.0.1") -> None:
        self._folder, self._port, self._empty_database, self._host = folder, port, empty_database, host
        self._running = ExitStack()
        self.uri = f"http://{host}:{port}"
        self.start()
        self._store = MlflowStore(self.uri)
        table = make_table(_N_INSTANCES, seed=3)
        self._data = xgboost.DMatrix(table, enable_categorical=True)
        self.instances = to_instances(table)
        self.expected: dict[str, list[float]] = {}

    def load(self, *ports: str, n_callers: int = 4) -> Load:
        """Callers of services that serve this model, who know the right answers."""
        return Load([int(port) for port in ports], self.instances, self.expected, n_callers)

    def start(self) -> None:
        """Run the server, with all that it had."""
        self._process = self._running.enter_context(
            run_mlflow_server(self._folder, self._port, self._empty_database, self._host)
        )

    def stop(self) -> None:
        """End it: nobody listens any more."""
        self._running.close()

    def hang(self) -> None:
        """Stop it where it is: connections are made and never answered."""
        self._signal(signal.SIGSTOP)

    def go_on(self) -> None:
        """Let it go on."""
        self._signal(signal.SIGCONT)

    def promote(self, version: str, alias: str = "champion") -> None:
        """Move an alias."""
        self._store.client.set_registered_model_alias(NAME, alias, version)

    def demote(self, alias: str) -> None:
        """Delete an alias."""
        self._store.client.delete_registered_model_alias(NAME, alias)

    def log_good(self, rounds: int) -> str:
        """Log a model that is right; its version."""
        model = make_model(booster=_train(rounds))
        version = self._log(model)
        self.expected[version] = [float(value) for value in model.booster.predict(self._data)]
        return version

    def log_with_wrong_golden_rows(self) -> str:
        """Log one that does not answer as its golden rows say."""
        model, other = make_model(booster=_train(5)), _train(6)
        return self._log(model, golden_of=other)

    def log_pickled(self) -> str:
        """Log one that runs code when it is opened."""
        from sklearn.linear_model import LogisticRegression

        model = LogisticRegression().fit([[1], [2]], [0, 1])
        return self._store.log(model, NAME, flavor="sklearn", inputs=None).version

    def log_truncated(self) -> str:
        """Log one, and cut its booster's file where the server keeps it."""
        before = set(self._folder.rglob("model.ubj"))
        version = self._log(make_model(booster=_train(7)))
        (file,) = set(self._folder.rglob("model.ubj")) - before
        os.truncate(file, file.stat().st_size * 2 // 3)
        return version

    def log_without_files(self) -> str:
        """Log one, and remove its files where the server keeps them."""
        before = set(self._folder.rglob("model.ubj"))
        version = self._log(make_model(booster=_train(8)))
        (file,) = set(self._folder.rglob("model.ubj")) - before
        shutil.rmtree(file.parent)
        return version

    def log_with_another_signature(self) -> str:
        """Log one that has no `wind`."""
        table = make_table().drop(columns="wind")
        inputs = [column for column in make_model().inputs or () if column["name"] != "wind"]
        booster = train_booster(table, make_target(make_table()))
        return self._log(make_model(booster=booster, table=table, inputs=inputs))

    def log_large(self, n_bytes: int) -> str:
        """Log one with a large file beside it."""
        return self._log(make_model(booster=_train(9)), n_bytes=n_bytes)

    def _log(self, model: ModelFolderBuilder, golden_of: xgboost.Booster | None = None, n_bytes: int = 0) -> str:
        folder = self._folder / "logging" / str(len(list((self._folder / "logging").glob("*"))))
        folder.mkdir(parents=True)
        booster_file = folder / "model.ubj"
        model.booster.save_model(booster_file)
        write_artifact(make_card(booster_file), folder / "card.json")
        write_artifact(write_golden(golden_of or model.booster, model.table.head(20)), folder / "golden.json")
        files = [folder / "card.json", folder / "golden.json"]
        if n_bytes:
            files.append(folder / "more.bin")
            files[-1].write_bytes(os.urandom(n_bytes))
        extra: dict[str, Any] = {"extra_files": [str(file) for file in files]}
        version = self._store.log(model.booster, NAME, inputs=model.inputs, **extra).version
        booster_file.unlink()
        return version

    def _signal(self, number: int) -> None:
        os.killpg(self._process.pid, number)  # the server and its workers


def _train(rounds: int) -> xgboost.Booster:
    table = make_table()
    return train_booster(table, make_target(table), rounds=rounds)
