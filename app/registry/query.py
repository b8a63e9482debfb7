"""What is asked of a registry, and what to say when it has no answer."""

from __future__ import annotations

from dataclasses import dataclass

from app.errors import ModelNotFound


@dataclass(frozen=True)
class RegistryQuery:
    """A registered model, and either an alias or a version of it."""

    name: str
    alias: str | None
    version: str | None

    def not_found(self, known_models: list[str] | None = None, known_aliases: list[str] | None = None) -> ModelNotFound:
        """
        The error to raise, with what the registry has instead where that is known.

        Parameters
        ----------
        known_models : list of str or None
            Given if the registered model itself is not there.
        known_aliases : list of str or None
            Given if the model is there.
        """
        if known_models is not None:
            has = f"it has {', '.join(map(repr, known_models))}" if known_models else "it is empty"
            return ModelNotFound(
                f"the registry has no registered model {self.name!r}; {has}. "
                "Train and register it (make train), or name another in TREESERVE_MODEL_URI"
            )
        what = f"alias {self.alias!r}" if self.alias else f"version {self.version}"
        has = f" (its aliases: {', '.join(map(repr, known_aliases)) or 'none'})" if known_aliases is not None else ""
        return ModelNotFound(
            f"registered model {self.name!r} has no {what}{has}. "
            "Set the alias in MLflow, or name another version in TREESERVE_MODEL_URI"
        )
