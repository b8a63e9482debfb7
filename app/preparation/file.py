"""
A verified predictor as one file, and the file as a predictor again.

The first line is the digest of all that follows, the second a JSON document, and then come the arrays that the kernel
walks, as they are. Before a predictor leaves here it has answered a trial with the same bits as where it was verified.
"""

from __future__ import annotations

import errno
import hashlib
import json
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from app.artifacts import Card
from app.compatibility import Interface, Scale
from app.errors import ModelUnfit
from app.forest.kernel_forest import KernelForest
from app.mlmodel import read_model_folder
from app.predictor import Evaluator, Forest, Predictor
from app.preparation.prepared import Prepared
from app.profile import ReferenceProfile
from app.signature import Feature, FeatureType, Signature
from app.whole_file import write_whole

_N_TRIAL_INSTANCES = 16
_FLOAT_BYTES = 4


def write_prepared(predictor: Predictor, folder: Path, file: Path) -> None:
    """
    Keep a predictor, whole or not at all.

    Parameters
    ----------
    predictor : Predictor
    folder : pathlib.Path
        The model's own, from which it was loaded.
    file : pathlib.Path

    Raises
    ------
    OSError
        If there is no room, or the folder cannot be written.
    """
    packed = predictor.forest.packed if isinstance(predictor.forest, KernelForest) else {}
    arrays = {name: value for name, value in packed.items() if isinstance(value, bytes)}
    document = {
        "run_id": predictor.version.run_id,
        "features": [asdict(feature) for feature in predictor.signature.features],
        "objective": predictor.objective,
        "evaluator": asdict(predictor.evaluator),
        "booster_sha256": _digest_booster(folder),
        "card": predictor.card and predictor.card.model_dump_json(),
        "profile": predictor.profile and predictor.profile.model_dump_json(),
        "example": predictor.example,
        "trial": _make_trial(predictor),
        "packed": {name: value for name, value in packed.items() if name not in arrays},
        "arrays": {name: len(array) for name, array in arrays.items()},
    }
    content = b"".join([json.dumps(document).encode(), b"\n", *arrays.values()])
    write_whole(file, hashlib.sha256(content).hexdigest().encode() + b"\n" + content)


def read_prepared(prepared: Prepared, n_threads: int | None = None) -> Predictor:
    """
    Make the predictor of a prepared model version, and let it answer its trial.

    Parameters
    ----------
    prepared : Prepared
    n_threads : int or None
        As `KernelForest` takes it.

    Raises
    ------
    ModelUnfit
        If the file is not there or not whole, or the predictor answers otherwise than it did.
    """
    document, arrays = _read(prepared.file)
    signature = _read_signature(document)
    forest: Forest
    if document["arrays"]:
        forest = KernelForest({**document["packed"], **arrays}, n_threads=n_threads)
    else:
        # Only here: to import XGBoost takes longer than all the rest.
        from app.forest.xgboost_forest import XGBoostForest

        folder = read_model_folder(prepared.folder)
        if _digest_booster(prepared.folder) != document["booster_sha256"]:
            _throw_away(prepared.file)  # so that it is prepared anew, from files that are whole
            raise ModelUnfit(f"{folder.booster} is not the file that was verified; it is fetched again")
        forest = XGBoostForest(folder.booster, stops_at_best_iteration=folder.is_scikit_learn_wrapper)
    predictor = Predictor.of(
        replace(prepared.version, run_id=document["run_id"]),
        signature,
        forest,
        Evaluator(**document["evaluator"]),
        document["objective"],
        card=document["card"] and Card.model_validate_json(document["card"]),
        profile=document["profile"] and ReferenceProfile.model_validate_json(document["profile"]),
        example=document["example"],
    )
    trial = document["trial"]
    if trial["answers"] != _answer_trial(predictor, trial["instances"]):
        _throw_away(prepared.file)
        raise ModelUnfit(f"{prepared.version} answers otherwise here than where it was verified")
    return predictor


def is_whole(file: Path) -> bool:
    """Whether something was prepared there; what is damaged is thrown away. It takes no memory, however large."""
    try:
        with file.open("rb") as source:
            digest = source.readline().rstrip()
            if digest == hashlib.file_digest(source, "sha256").hexdigest().encode():
                return True
    except OSError:
        return False
    _throw_away(file)
    return False


def read_interface(prepared: Prepared) -> Interface:
    """What callers know of a prepared model version that is whole; raises `ModelUnfit` if it is not there any more."""
    try:
        with prepared.file.open("rb") as source:
            source.readline()
            document = json.loads(source.readline())
    except (OSError, ValueError) as error:
        raise ModelUnfit(f"what was prepared of it cannot be read: {error}") from None
    trial = document["trial"]
    n_bytes = len(bytes.fromhex(trial["answers"][0])) // len(trial["instances"])
    classes = json.loads(document["card"])["classes"] if document["card"] else None
    return Interface(
        _read_signature(document),
        Scale.of(document["objective"]),
        n_bytes // _FLOAT_BYTES,
        None if classes is None else tuple(classes),
    )


def _read(file: Path) -> tuple[dict[str, Any], dict[str, bytes]]:
    try:
        with file.open("rb") as source:
            digest, text = source.readline().rstrip(), source.readline()
            found = hashlib.sha256(text)
            document = json.loads(text)
            arrays = {}
            # One by one: a copy of many megabytes would be made while every request waits.
            for name, n_bytes in document["arrays"].items():
                arrays[name] = source.read(n_bytes)
                found.update(arrays[name])
            is_whole = digest == found.hexdigest().encode() and not source.read(1)
    except OSError as error:
        if error.errno == errno.EIO:  # the disk has lost it
            _throw_away(file)
        raise ModelUnfit(f"what was prepared of it cannot be read: {error}") from None
    except (ValueError, KeyError, TypeError, AttributeError):
        is_whole = False
    if not is_whole:
        _throw_away(file)
        raise ModelUnfit(f"what was prepared of it in {file} is not whole; it is thrown away")
    return document, arrays


def _throw_away(file: Path) -> None:
    """Remove a file, or it would be found again."""
    with suppress(OSError):
        file.unlink()


def _digest_booster(folder: Path) -> str:
    try:
        with read_model_folder(folder).booster.open("rb") as booster:
            return hashlib.file_digest(booster, "sha256").hexdigest()
    except OSError as error:
        raise ModelUnfit(f"the booster cannot be read: {error}") from None


def _read_signature(document: Mapping[str, Any]) -> Signature:
    return Signature(
        tuple(
            Feature(
                feature["name"],
                FeatureType(feature["type"]),
                feature["required"],
                None if feature["categories"] is None else tuple(feature["categories"]),
            )
            for feature in document["features"]
        )
    )


def _make_trial(predictor: Predictor) -> dict[str, Any]:
    golden = predictor.golden.instances if predictor.golden else []
    instances = [predictor.example, *golden[:_N_TRIAL_INSTANCES]]
    return {"instances": instances, "answers": _answer_trial(predictor, instances)}


def _answer_trial(predictor: Predictor, instances: list[Any]) -> list[str]:
    """The bits that it predicts of all together and of each by itself; what answers the first request is then warm."""
    answers = []
    for some in (instances, *([instance] for instance in instances)):
        body = json.dumps({"instances": some}).encode()
        matrix = predictor.decoder.decode(body, max_instances=len(some), unknown_is_missing=True).matrix
        answers.append(predictor.forest.predictions(matrix).tobytes().hex())
    return answers
