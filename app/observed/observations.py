"""The observed profiles of those model versions that serve, as Prometheus and the payload log have them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from app.line_sink import Piece
from app.model_version import ModelVersion
from app.observed.profile import ObservedProfile
from app.predictor import Predictor

# Name, what for, and labels of each metric.
_OBSERVED = (
    "treeserve_feature_observations",
    "Values of a feature in each bin of the reference profile: what drifts.",
    ["feature", "bin", "version"],
)
_REFERENCE = (
    "treeserve_feature_reference_ratio",
    "The share of the training rows in each bin of a feature: what its drift is measured from.",
    ["feature", "bin", "version"],
)
_PREDICTED = (
    "treeserve_prediction_observations",
    "Predictions in each bin of the reference profile: whether answers shift.",
    ["bin", "version"],
)
_PREDICTED_REFERENCE = (
    "treeserve_prediction_reference_ratio",
    "The share of the training rows' predictions in each bin: what their shift is measured from.",
    ["bin", "version"],
)


class Observations(Collector):
    """
    One observed profile for each predictor that may answer and has a reference profile.

    Prometheus gets the counts and the training's shares; how far the two are apart is computed over all processes.
    """

    def __init__(self, registry: CollectorRegistry, record: Callable[[Iterator[Piece]], object]) -> None:
        """
        Begin without any.

        Parameters
        ----------
        registry : CollectorRegistry
        record : callable
            Takes lines for the payload log.
        """
        self._profiles: dict[ModelVersion, ObservedProfile] = {}
        self._record = record
        registry.register(self)

    def keep(self, predictors: Sequence[Predictor]) -> None:
        """Count for these from now on, and forget others, with a last word of each; those that stay go on counting."""
        before = self._profiles
        self._profiles = {
            predictor.version: before.get(predictor.version) or ObservedProfile(predictor)
            for predictor in predictors
            if predictor.profile
        }
        for version in before.keys() - self._profiles.keys():
            self._record(before[version].lines())

    def of(self, predictor: Predictor) -> ObservedProfile | None:
        """Where to count what a predictor answers; None if it has no reference profile."""
        return self._profiles.get(predictor.version)

    def tell(self) -> None:
        """Record what each has counted since the last time."""
        for profile in list(self._profiles.values()):
            self._record(profile.lines())

    def describe(self) -> Iterator[Metric]:
        """What the registry asks to keep names apart."""
        return self.collect()

    def collect(self) -> Iterator[Metric]:
        """What a scrape reads."""
        observed = CounterMetricFamily(*_OBSERVED[:2], labels=_OBSERVED[2])
        reference = GaugeMetricFamily(*_REFERENCE[:2], labels=_REFERENCE[2])
        predicted = CounterMetricFamily(*_PREDICTED[:2], labels=_PREDICTED[2])
        predicted_reference = GaugeMetricFamily(*_PREDICTED_REFERENCE[:2], labels=_PREDICTED_REFERENCE[2])
        for profile in list(self._profiles.values()):
            version = profile.version.version
            for column, counts in profile.features():
                for label, share, count in zip(column.labels, column.shares, counts.tolist(), strict=True):
                    observed.add_metric([column.name, label, version], count)
                    reference.add_metric([column.name, label, version], share)
            column, counts = profile.predictions()
            for label, share, count in zip(column.labels, column.shares, counts.tolist(), strict=True):
                predicted.add_metric([label, version], count)
                predicted_reference.add_metric([label, version], share)
        yield from (observed, reference, predicted, predicted_reference)
