"""
The bins of a reference profile, as they are counted in service: those of training, and what training has never seen.

Edges are rounded to float32 first, as the values are: else a value that is an edge would fall beside it.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from app.profile import CategoryProfile, NumberProfile, ReferenceProfile
from app.signature import Signature

PROFILE_DATASET = "treeserve.profile"  # of the lines in which a process tells what it has counted
# Of a feature with more categories, the most frequent ones have a bin each; Prometheus keeps a series for every bin.
_MAX_CATEGORY_BINS = 50
MISSING, UNSEEN, OTHER = "(missing)", "(unseen)", "(other)"

Counts = npt.NDArray[np.int64]
FloatMatrix = npt.NDArray[np.float32]


@dataclass(frozen=True)
class ColumnBins:
    """
    The bins of one column.

    Attributes
    ----------
    name : str
    column : int
        Of the matrix.
    labels : tuple of str
        Of each bin.
    shares : tuple of float
        Of the training rows, in each bin.
    edges : numpy.ndarray of float32, or None
        A number's bin is how many of them it has reached; then comes the bin of what is missing.
    codes : numpy.ndarray of int32, or None
        The bin of each category's code; the last two bins are for what is unseen and what is missing.
    """

    name: str
    column: int
    labels: tuple[str, ...]
    shares: tuple[float, ...]
    edges: FloatMatrix | None = None
    codes: npt.NDArray[np.int32] | None = None


def bins_of_features(profile: ReferenceProfile, signature: Signature) -> list[ColumnBins]:
    """The bins of the features that the profile and the signature have, with the same categories."""
    columns = {feature.name: column for column, feature in enumerate(signature.features)}
    found = []
    for reference in profile.features:
        column = columns.get(reference.name)
        if column is None:
            continue
        if isinstance(reference, NumberProfile):
            found.append(_bins_of_number(reference, column))
        elif list(signature.features[column].categories or ()) == list(reference.categories):
            found.append(_bins_of_category(reference, column))
    return found


def bins_of_prediction(profile: ReferenceProfile) -> ColumnBins:
    """The bins of the prediction: a number's, or of several classes a bin for each."""
    if isinstance(profile.prediction, CategoryProfile):
        return _bins_of_category(profile.prediction, 0)
    return _bins_of_number(profile.prediction, 0)


def _bins_of_number(reference: NumberProfile, column: int) -> ColumnBins:
    total = max(1, sum(reference.counts) + reference.n_missing)
    shares = [count / total for count in reference.counts]
    missing = reference.n_missing / total
    if reference.minimum is None or reference.maximum is None:
        none = np.array([], dtype=np.float32)
        return ColumnBins(reference.name, column, ("(any)", MISSING), (shares[0], missing), edges=none)
    with np.errstate(over="ignore"):  # Only infinity is beyond the greatest float.
        beyond = np.nextafter(np.float32(reference.maximum), np.float32(np.inf))
    edges = np.array([reference.minimum, *reference.edges, beyond], dtype=np.float32)
    shown = [f"{edge:.6g}" for edge in (reference.minimum, *reference.edges, reference.maximum)]
    inner = [f"[{low}, {high})" for low, high in pairwise(shown[:-1])]
    names = [f"< {shown[0]}", *inner, f"[{shown[-2]}, {shown[-1]}]", f"> {shown[-1]}"]
    # Numbered, so that they are shown in their order wherever they are sorted as text.
    labels = [f"{place:02d} {name}" for place, name in enumerate(names)]
    return ColumnBins(reference.name, column, (*labels, MISSING), (0.0, *shares, 0.0, missing), edges=edges)


def _bins_of_category(reference: CategoryProfile, column: int) -> ColumnBins:
    total = max(1, sum(reference.counts) + reference.n_missing)
    by_count = sorted(range(len(reference.counts)), key=lambda code: -reference.counts[code])
    own = sorted(by_count[:_MAX_CATEGORY_BINS])
    labels = [str(reference.categories[code]) for code in own]
    shares = [reference.counts[code] / total for code in own]
    codes = np.full(len(reference.counts), len(own), dtype=np.int32)
    codes[own] = np.arange(len(own))
    if len(own) < len(reference.counts):
        labels.append(OTHER)
        shares.append(sum(reference.counts[code] for code in by_count[_MAX_CATEGORY_BINS:]) / total)
    return ColumnBins(
        reference.name,
        column,
        (*labels, UNSEEN, MISSING),
        (*shares, 0.0, reference.n_missing / total),
        codes=codes,
    )
