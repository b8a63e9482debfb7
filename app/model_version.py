"""Which model version it is: the answer to "who said that?" under every prediction."""

from __future__ import annotations

from dataclasses import dataclass


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

    def __str__(self) -> str:
        return f"{self.name} version {self.version}"
