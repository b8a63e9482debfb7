"""
The flight model on its numeric features alone, since the other servers take no string categories.

Trained by the project's own code and registered in an MLflow store of its own.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from tests.processes import PROJECT

NAME = "flight-delay-numeric"
URI = f"models:/{NAME}@champion"
N_ROWS = 10_000
_ROWS_FILE = "rows.json"


@dataclass(frozen=True)
class NumericModel:
    """
    The trained model, and real rows to ask it.

    Attributes
    ----------
    folder : pathlib.Path
        Holds the booster, as ``model.ubj`` and below, and the MLflow store.
    names : tuple of str
        The features, in the booster's order.
    rows : tuple of tuple of int or float, shape (N_ROWS, n_features)
        Distinct flights of the months that the model never saw, in no order. None has a missing value, for which
        there is no word of JSON that all the servers understand.
    predictions : numpy.ndarray of float32, shape (N_ROWS,)
        What XGBoost itself answers.
    """

    folder: Path
    names: tuple[str, ...]
    rows: tuple[tuple[int | float, ...], ...]
    predictions: npt.NDArray[np.float32]

    @property
    def booster_file(self) -> Path:
        """The booster in XGBoost's JSON format, which every server reads, without the features' names."""
        return self.folder / "model.json"

    @property
    def tracking_uri(self) -> str:
        """Of the MLflow store."""
        return _store(self.folder)


def provide_model(folder: Path) -> NumericModel:
    """Open the model in a folder; train it first, half a minute, if it is not there or the training has changed."""
    mark, fingerprint = folder / ".trained", _fingerprint()
    if not mark.exists() or mark.read_text(encoding="utf-8") != fingerprint:
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        _train(folder)
        mark.write_text(fingerprint, encoding="utf-8")
    return open_model(folder)


def open_model(folder: Path) -> NumericModel:
    """Read what the training wrote."""
    found = json.loads((folder / _ROWS_FILE).read_text(encoding="utf-8"))
    rows = tuple(tuple(row) for row in found["rows"])
    return NumericModel(folder, tuple(found["names"]), rows, np.array(found["predictions"], np.float32))


def _store(folder: Path) -> str:
    return f"sqlite:///{folder / 'mlflow.db'}"


def _fingerprint() -> str:
    """What the model is made from."""
    sources = [
        Path(__file__),
        PROJECT / "requirements" / "train.txt",
        *sorted((PROJECT / "model").rglob("*.py")),
    ]
    return hashlib.sha256(b"".join(path.read_bytes() for path in sources)).hexdigest()


def _train(folder: Path) -> None:
    # Where other processes want the same cores; read when XGBoost is imported.
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")
    from model.flights.project import PROJECT as FLIGHTS
    from model.parameters import read_parameters
    from model.pipeline.steps import describe_data, split_dataset
    from model.progress import Progress
    from model.registry.packaging import pack_model
    from model.registry.registration import Experiment, RunRecord
    from model.registry.versions import Versions
    from model.training.fit import fit_model

    parameters, progress = read_parameters(), Progress()
    progress.say("training the flight model on its numeric features")
    numeric = [feature for feature in FLIGHTS.description.features if feature.type != "string"]
    names = [feature.name for feature in numeric]
    dataset = FLIGHTS.read(None, parameters.until, progress)
    dataset = replace(dataset, features=dataset.features[names])
    split = split_dataset(FLIGHTS, dataset, parameters)
    model = fit_model(split, FLIGHTS.task, parameters.train, progress)
    data = describe_data(FLIGHTS.name_source(None), dataset, split)
    with tempfile.TemporaryDirectory() as scratch:
        package = pack_model(
            Path(scratch),
            model,
            split,
            model.predict(split.fit.features),
            replace(FLIGHTS.description, features=numeric),
            FLIGHTS.task,
            data,
            metrics={},
            commit=None,
        )
        record = RunRecord(parameters.of_model(), {}, model.stop_scores, figures={}, tags={})
        experiment = Experiment(_store(folder), NAME)
        version = experiment.register(NAME, record, package).version
        Versions(experiment, NAME).promote(version, "the model that servers are compared by")
    whole = split.test.features.dropna().drop_duplicates()
    chosen = whole.sample(N_ROWS, random_state=parameters.train.seed)
    columns = [chosen[name].tolist() for name in names]  # whole numbers stay whole
    rows = {"names": names, "rows": list(zip(*columns, strict=True)), "predictions": model.predict(chosen).tolist()}
    (folder / _ROWS_FILE).write_text(json.dumps(rows), encoding="utf-8")
    model.booster.save_model(folder / "model.ubj")
    # XGBoost refuses rows without names where the booster has some, and most of the servers send it no names.
    model.booster.feature_names = None
    model.booster.save_model(folder / "model.json")
