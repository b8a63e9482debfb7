"""A predictor: one loaded model version, immutable, with all that an answer needs."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol

from app.artifacts import Card, GoldenRows, UnknownCategoryPolicy, read_artifact
from app.errors import InvalidRequest, ModelUnfit
from app.forest.kernel_forest import FloatMatrix, KernelForest
from app.mlmodel import ModelFolder, read_model_folder
from app.model_version import ModelVersion
from app.profile import ReferenceProfile
from app.signature import FeatureType, Signature, build_signature
from app.wire.answer import AnswerEncoder
from app.wire.decoder import InstancesDecoder
from app.wire.log_lines import common_members


class Forest(Protocol):
    """Anything that evaluates a forest; `XGBoostForest` says what the members are."""

    n_quick_rows: int

    def margins(self, matrix: FloatMatrix) -> FloatMatrix:
        """Sums of the leaves."""

    def predictions(self, matrix: FloatMatrix) -> FloatMatrix:
        """The objective's transform of them."""


@dataclass(frozen=True)
class Evaluator:
    """
    What evaluates the forest.

    Attributes
    ----------
    name : str
        ``xgboost``, or ``kernel`` with the way it goes.
    reason : str or None
        Why it is XGBoost.
    has_disagreed : bool
        Whether that is because the kernel gave other answers, which it never should.
    """

    name: str
    reason: str | None = None
    has_disagreed: bool = False

    @classmethod
    def of(cls, kernel: KernelForest) -> Evaluator:
        """That of a kernel which agrees with XGBoost."""
        return cls(f"kernel ({kernel.walk})")


@dataclass(frozen=True)
class Predictor:
    """
    One model version, ready to answer. A request holds its reference until it is answered.

    Attributes
    ----------
    version : ModelVersion
    signature : Signature
    forest : Forest
    evaluator : Evaluator
        What `forest` is.
    objective : str
        XGBoost's name of what the booster was trained for.
    card, profile, golden
        The model version's artifacts, each None where it has none.
    decoder : InstancesDecoder
        Reads the bodies of ``POST /predict`` for this signature.
    answers : AnswerEncoder
        Writes the answers.
    log_members : str
        What all its lines of the payload log have, as members of a JSON object.
    example : mapping of feature name to value
        An instance that `decoder` accepts.
    """

    version: ModelVersion
    signature: Signature
    forest: Forest
    evaluator: Evaluator
    objective: str
    card: Card | None
    profile: ReferenceProfile | None
    golden: GoldenRows | None
    decoder: InstancesDecoder
    answers: AnswerEncoder
    log_members: str
    example: Mapping[str, Any]

    @classmethod
    def of(
        cls,
        version: ModelVersion,
        signature: Signature,
        forest: Forest,
        evaluator: Evaluator,
        objective: str,
        *,
        card: Card | None,
        profile: ReferenceProfile | None,
        example: Mapping[str, Any],
        golden: GoldenRows | None = None,
    ) -> Predictor:
        """Put a predictor together from what is not derived; the parameters are the attributes."""
        return cls(
            version=version,
            signature=signature,
            forest=forest,
            evaluator=evaluator,
            objective=objective,
            card=card,
            profile=profile,
            golden=golden,
            decoder=InstancesDecoder(signature),
            answers=AnswerEncoder(version),
            log_members=common_members(version),
            example=example,
        )

    @classmethod
    def load(cls, path: Path, version: ModelVersion) -> Predictor:
        """
        Load a model folder as MLflow wrote it, with XGBoost as its evaluator.

        Imports XGBoost, and takes a second: a service does it in a process of its own (`app.preparation`).

        Parameters
        ----------
        path : pathlib.Path
        version : ModelVersion

        Raises
        ------
        ModelUnfit
            If a file is missing, corrupt or pickled, or two of them contradict each other.
        """
        from app.forest.xgboost_forest import XGBoostForest

        folder = read_model_folder(path)
        card = read_artifact(Card, folder.extra_file("card.json"))
        _check_digest(folder, card)
        forest = XGBoostForest(folder.booster, stops_at_best_iteration=folder.is_scikit_learn_wrapper)
        categories = {} if card is None else card.categories
        signature = build_signature(forest.document.features, folder.inputs, categories)
        golden = read_artifact(GoldenRows, folder.extra_file("golden.json"))
        return cls.of(
            replace(version, run_id=version.run_id or folder.run_id),
            signature,
            forest,
            Evaluator("xgboost", "the kernel has not been compared with it yet"),
            forest.document.objective,
            card=card,
            profile=read_artifact(ReferenceProfile, folder.extra_file("profile.json")),
            example=_choose_example(signature, folder.input_example, golden),
            golden=golden,
        )

    def unknown_is_missing(self, policy: UnknownCategoryPolicy | None) -> bool:
        """
        Whether an unknown category is predicted as a missing value.

        Parameters
        ----------
        policy : {"reject", "missing"} or None
            The operator's word; None leaves it to the model's card, and that to "reject".
        """
        return (policy or (self.card and self.card.unknown_category)) == "missing"


def _check_digest(folder: ModelFolder, card: Card | None) -> None:
    """Refuse a booster that is not the one its card was written for, before XGBoost opens it."""
    if card is None:
        return
    try:
        with folder.booster.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise ModelUnfit(f"{folder.booster.name} cannot be read: {error.strerror}") from None
    if digest != card.booster_sha256:
        raise ModelUnfit(
            f"{folder.booster.name} is not the file that card.json was written for (sha256 {digest[:12]}…, the card "
            f"says {card.booster_sha256[:12]}…): it was changed or is not whole; register the model version again"
        )


def _choose_example(
    signature: Signature, logged: Mapping[str, Any] | None, golden: GoldenRows | None
) -> Mapping[str, Any]:
    """MLflow's input example if it can be predicted as it is, else a golden row, else the plainest values."""
    decoder = InstancesDecoder(signature)
    for candidate in (logged, golden.instances[0] if golden else None):
        if candidate is not None:
            try:
                decoder.decode(
                    json.dumps({"instances": [candidate]}).encode(), max_instances=1, unknown_is_missing=False
                )
            except InvalidRequest:
                continue
            return candidate
    plain = {FeatureType.BOOLEAN: False, FeatureType.NUMBER: 0.0, FeatureType.INTEGER: 0, FeatureType.LONG: 0}
    return {f.name: f.categories[0] if f.categories else plain[f.type] for f in signature.features}
