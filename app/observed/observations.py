"""The observed profiles of those model versions that serve, as Prometheus and the payload log have them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import NamedTuple

from app.exposition import Family, write_gap, write_labels
from app.line_sink import Piece
from app.metrics import Metrics
from app.model_version import ModelVersion
from app.observed.profile import ObservedProfile
from app.predictor import Predictor

# Name, kind, and what for.
_OBSERVED = (
    "treeserve_feature_observations",
    "counter",
    "Values of a feature in each bin of the reference profile: what drifts.",
)
_REFERENCE = (
    "treeserve_feature_reference_ratio",
    "gauge",
    "The share of the training rows in each bin of a feature: what its drift is measured from.",
)
_PREDICTED = (
    "treeserve_prediction_observations",
    "counter",
    "Predictions in each bin of the reference profile: whether answers shift.",
)
_PREDICTED_REFERENCE = (
    "treeserve_prediction_reference_ratio",
    "gauge",
    "The share of the training rows' predictions in each bin: what their shift is measured from.",
)


class Observations:
    """
    One observed profile for each predictor that may answer and has a reference profile.

    Prometheus gets the counts and the training's shares; how far the two are apart is computed over all processes.
    """

    def __init__(self, metrics: Metrics, record: Callable[[Iterator[Piece]], object]) -> None:
        """
        Begin without any.

        Parameters
        ----------
        metrics : Metrics
            What a scrape reads.
        record : callable
            Takes lines for the payload log.
        """
        self._profiles: dict[ModelVersion, _Written] = {}
        self._record = record
        metrics.add_source(self._families)

    def keep(self, predictors: Sequence[Predictor]) -> None:
        """Count for these from now on, and forget others, with a last word of each; those that stay go on counting."""
        before = self._profiles
        self._profiles = {
            predictor.version: before.get(predictor.version) or _Written(ObservedProfile(predictor))
            for predictor in predictors
            if predictor.profile
        }
        for version in before.keys() - self._profiles.keys():
            self._record(before[version].profile.lines())

    def of(self, predictor: Predictor) -> ObservedProfile | None:
        """Where to count what a predictor answers; None if it has no reference profile."""
        written = self._profiles.get(predictor.version)
        return written.profile if written else None

    def tell(self) -> None:
        """Record what each has counted since the last time."""
        for written in list(self._profiles.values()):
            self._record(written.profile.lines())

    def _families(self) -> list[Family]:
        observed, reference, predicted, predicted_reference = families = [
            Family(*described, {}, {}) for described in (_OBSERVED, _REFERENCE, _PREDICTED, _PREDICTED_REFERENCE)
        ]
        for written in self._profiles.values():
            features, (_, predictions) = written.profile.features(), written.profile.predictions()
            observed.values[written.features.observed] = [n for _, counts in features for n in counts.tolist()]
            reference.values[written.features.reference] = []
            predicted.values[written.prediction.observed] = predictions.tolist()
            predicted_reference.values[written.prediction.reference] = []
        return families


class _Lines(NamedTuple):
    """Those of what is counted, with gaps for the counts, and those of the training's shares."""

    observed: str
    reference: str


class _Written:
    """A profile, and what never changes of its text."""

    def __init__(self, profile: ObservedProfile) -> None:
        self.profile = profile
        version = {"version": profile.version.version}
        self.features = _write_lines(
            _OBSERVED[0],
            _REFERENCE[0],
            [
                ({"feature": column.name, "bin": label} | version, share)
                for column, _ in profile.features()
                for label, share in zip(column.labels, column.shares, strict=True)
            ],
        )
        prediction, _ = profile.predictions()
        self.prediction = _write_lines(
            _PREDICTED[0],
            _PREDICTED_REFERENCE[0],
            [
                ({"bin": label} | version, share)
                for label, share in zip(prediction.labels, prediction.shares, strict=True)
            ],
        )


def _write_lines(observed: str, reference: str, bins: Sequence[tuple[Mapping[str, str], float]]) -> _Lines:
    texts = [(write_labels(labels), share) for labels, share in bins]
    return _Lines(
        "".join([write_gap(f"{observed}_total", labels) for labels, _ in texts]),
        "".join([f"{reference}{labels} {share!r}\n" for labels, share in texts]),
    )
