"""
The reference profile: how each feature and the prediction were distributed in training.

`profile.json` keeps it beside the booster. In service the same bins are counted again, and
the distance between the two is drift.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Annotated, Literal, Self

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict, Field, model_validator

from app.artifacts import Artifact

MAX_PROFILED_FEATURES = 100
N_BINS = 10


class NumberProfile(BaseModel):
    """
    Counts of a numeric feature's training values between edges.

    `counts[0]` is below `edges[0]`, `counts[i]` is ``edges[i-1] <= x < edges[i]``, and the last
    one is at or above the last edge.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    name: str
    type: Literal["number"] = "number"
    edges: list[float]
    counts: list[int]
    n_missing: int = Field(ge=0)
    minimum: float | None = Field(description="Smallest training value; None if all were missing.")
    maximum: float | None

    @model_validator(mode="after")
    def _has_one_count_a_bin(self) -> Self:
        if len(self.counts) != len(self.edges) + 1 or min(self.counts) < 0:
            raise ValueError("there must be one count >= 0 more than edges")
        if any(low >= high for low, high in pairwise(self.edges)):
            raise ValueError("edges must rise")
        return self

    @classmethod
    def of(cls, name: str, values: npt.ArrayLike, n_bins: int = N_BINS) -> Self:
        """
        Profile `values` in bins of about equal counts.

        Parameters
        ----------
        values : array_like of float, shape (n_rows,)
            NaN is a missing value.
        n_bins : int
            At most so many bins; fewer where many values are equal.
        """
        column = np.asarray(values, dtype=np.float64)
        present = column[~np.isnan(column)]
        n_missing = int(column.size - present.size)
        if present.size == 0:
            return cls(name=name, edges=[], counts=[0], n_missing=n_missing, minimum=None, maximum=None)
        edges = np.unique(np.quantile(present, np.linspace(0, 1, n_bins + 1)[1:-1], method="nearest"))
        edges = edges[edges > present.min()]
        bins = np.searchsorted(edges, present, side="right")
        return cls(
            name=name,
            edges=edges.tolist(),
            counts=np.bincount(bins, minlength=edges.size + 1).tolist(),
            n_missing=n_missing,
            minimum=float(present.min()),
            maximum=float(present.max()),
        )


class CategoryProfile(BaseModel):
    """Counts of a categorical feature's training values, one a category."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    type: Literal["category"] = "category"
    categories: list[str] | list[int]
    counts: list[int]
    n_missing: int = Field(ge=0)

    @model_validator(mode="after")
    def _has_one_count_a_category(self) -> Self:
        if len(self.counts) != len(self.categories) or min(self.counts, default=0) < 0:
            raise ValueError("there must be one count >= 0 a category")
        return self

    @classmethod
    def of(cls, name: str, codes: npt.ArrayLike, categories: list[str] | list[int]) -> Self:
        """
        Profile a column of category codes.

        Parameters
        ----------
        codes : array_like of int, shape (n_rows,)
            Positions in `categories`; -1 is a missing value.
        """
        column = np.asarray(codes, dtype=np.int64)
        known = column[column >= 0]
        return cls(
            name=name,
            categories=categories,
            counts=np.bincount(known, minlength=len(categories)).tolist(),
            n_missing=int(column.size - known.size),
        )


class ReferenceProfile(Artifact):
    """`profile.json`: the features whose drift is counted, most important first, and the prediction."""

    features: list[Annotated[NumberProfile | CategoryProfile, Field(discriminator="type")]] = Field(
        max_length=MAX_PROFILED_FEATURES
    )
    prediction: NumberProfile | CategoryProfile = Field(
        discriminator="type", description="Of several classes, how often each was the most probable one."
    )
    n_rows: int = Field(ge=1, description="Training rows that were counted.")
