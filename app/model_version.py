"""Which model version it is: the answer to "who said that?" under every prediction."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Role(StrEnum):
    """What a model version is to the service; part of its metrics, log fields and answers."""

    CHAMPION = "champion"  # it answers
    CHALLENGER = "challenger"  # it is tried beside the champion


@dataclass(frozen=True)
class ModelVersion:
    """
    A model version by name, as the registry or a URI identifies it.

    Attributes
    ----------
    name : str
        Registered model, or the last part of a URI that names no registered model.
    version : str
        The registry's number, or a digest where there is no registry.
    alias : str or None
        The alias it was asked for by.
    run_id : str or None
        MLflow's training run.
    source : str
        Where its files are: a folder, or a URI that MLflow can download.
    is_immutable : bool
        Whether the same name, version and source can never mean other files, so that a copy
        in the cache folder may stand for it.
    """

    name: str
    version: str
    alias: str | None
    run_id: str | None
    source: str
    is_immutable: bool

    def is_same_model(self, other: ModelVersion) -> bool:
        """Whether it is the same version of the same model, whatever it was asked for by."""
        return (self.name, self.version, self.source) == (other.name, other.version, other.source)

    def __str__(self) -> str:
        return f"{self.name} version {self.version}"
