"""
How far what a service is asked and answers has drifted from training, by the lines in which its processes tell it.

Each process counts in the bins of the reference profile and tells once a minute what it has counted; added up over
all processes and any time, that is the whole service's observed profile.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from model.errors import LogUnreadable, NothingObserved

# A share that is smaller, 0 too, is taken for this one where two distributions are compared: a bin that was empty in
# training would else be infinitely far away. The recording rules have it too.
LEAST_SHARE = 1e-4
# By the rule of thumb that credit scoring has used for decades; what it means for a model is for its owners to say.
SLIGHT, LARGE = 0.1, 0.25
_MODEL = ("treeserve.model.name", "treeserve.model.version")


def population_stability_index(reference: Sequence[float], observed: Sequence[float]) -> float:
    """
    How far two distributions over the same bins are apart (PSI); 0 for the same one.

    Parameters
    ----------
    reference, observed : sequence of float
        Shares, each of which sum up to 1.
    """
    expected, found = (np.maximum(np.asarray(shares, dtype=float), LEAST_SHARE) for shares in (reference, observed))
    return float(np.sum((found - expected) * np.log(found / expected)))


@dataclass(frozen=True)
class Drift:
    """
    One feature's, or the prediction's.

    Attributes
    ----------
    kind : str
        ``feature`` or ``prediction``.
    name : str
    bins : tuple of str
        In the order in which a process tells them.
    reference, observed : tuple of float
        The share of the training rows, and of what was observed, in each bin.
    n_observed : int
    """

    kind: str
    name: str
    bins: tuple[str, ...]
    reference: tuple[float, ...]
    observed: tuple[float, ...]
    n_observed: int

    @property
    def psi(self) -> float:
        """The population stability index."""
        return population_stability_index(self.reference, self.observed)

    @property
    def verdict(self) -> str:
        """The rule of thumb in a word."""
        return "large" if self.psi >= LARGE else "slight" if self.psi >= SLIGHT else "none"

    @property
    def widest(self) -> str:
        """The bin whose share has changed most, with both."""
        changes = [abs(after - before) for before, after in zip(self.reference, self.observed, strict=True)]
        place = changes.index(max(changes))
        return f"{self.bins[place]}: {self.reference[place]:.1%} → {self.observed[place]:.1%}"


class ModelVersion(NamedTuple):
    """Of which model, and which of its versions."""

    name: str
    version: str

    def __str__(self) -> str:
        """In words."""
        return f"{self.name} version {self.version}"


def measure_drift(
    lines: Iterable[Mapping[str, Any]], model: str | None = None, version: str | None = None
) -> tuple[ModelVersion, list[Drift]]:
    """
    Add up what was observed.

    Parameters
    ----------
    lines : iterable of mapping
        Of the dataset `treeserve.profile`.
    model, version : str or None
        Which registered model and version; None for the only one that there is.

    Returns
    -------
    ModelVersion, list of Drift
        Whose it is, and the drift of each feature and of the prediction, the largest first.

    Raises
    ------
    NothingObserved
        If there are no such lines, or of several versions, and none was chosen.
    LogUnreadable
        If a line is not as a service writes it.
    """
    counts: dict[ModelVersion, dict[tuple[str, str], dict[str, list[float]]]] = {}
    for line in lines:
        try:
            of_version = counts.setdefault(ModelVersion(*(line[name] for name in _MODEL)), {})
            bins = of_version.setdefault((line["treeserve.profile.kind"], line["treeserve.profile.name"]), {})
            told = bins.setdefault(line["treeserve.profile.bin"], [line["treeserve.profile.reference"], 0])
            told[1] += line["treeserve.profile.count"]
        except (KeyError, TypeError, ValueError) as error:
            raise LogUnreadable(f"a profile line is not as a service writes it ({error!r}): {dict(line)}") from None
    chosen = _choose(sorted(counts), model, version)
    drifts = [_to_drift(*column, bins) for column, bins in counts[chosen].items()]
    return chosen, sorted(drifts, key=lambda drift: -drift.psi)


def _choose(known: list[ModelVersion], model: str | None, version: str | None) -> ModelVersion:
    if not known:
        raise NothingObserved(
            "there is no treeserve.profile line in the logs of that time; processes write them once a minute for a "
            "model version with a reference profile, unless TREESERVE_PAYLOAD_LOG is off"
        )
    chosen = [one for one in known if model in (None, one.name) and version in (None, one.version)]
    if len(chosen) == 1:
        return chosen[0]
    shown = ", ".join(map(str, known))
    what = "several to choose from" if chosen else "nothing of that"
    raise NothingObserved(f"the logs have {what}: {shown}; --model and --version say which one")


def _to_drift(kind: str, name: str, bins: Mapping[str, list[float]]) -> Drift:
    total = sum(count for _, count in bins.values())
    return Drift(
        kind,
        name,
        tuple(bins),
        tuple(reference for reference, _ in bins.values()),
        tuple(count / total for _, count in bins.values()),
        int(total),
    )
