"""What is asked of a registry, and what to say when it has no answer."""

from __future__ import annotations

from dataclasses import dataclass

from app.errors import ModelNotFound
from app.model_version import ModelVersion


@dataclass(frozen=True)
class RegistryQuery:
    """A registered model, and either an alias or a version of it."""

    name: str
    alias: str | None
    version: str | None

    def no_model(self, registry: str, known: list[str] | None = None) -> ModelNotFound:
        """
        The error to raise where the registered model itself is not there.

        Parameters
        ----------
        registry : str
            Who was asked: the wrong registry is as likely as the wrong name.
        known : list of str or None
            The registered models that are there, if that is known.
        """
        has = f"; it has {', '.join(map(repr, known))}" if known else "; it is empty" if known is not None else ""
        return ModelNotFound(
            f"{registry} has no registered model {self.name!r}{has}. "
            "Train and register it (make train), or name another in TREESERVE_MODEL_URI"
        )

    def no_version(self, known_aliases: list[str] | None = None) -> ModelNotFound:
        """The error to raise where the model is there, and not the version or alias of it."""
        what = f"alias {self.alias!r}" if self.alias else f"version {self.version}"
        has = f" (its aliases: {', '.join(map(repr, known_aliases)) or 'none'})" if known_aliases is not None else ""
        return ModelNotFound(
            f"registered model {self.name!r} has no {what}{has}. "
            "Set the alias in MLflow, or name another version in TREESERVE_MODEL_URI"
        )

    def found(self, version: str, status: str, run_id: str | None, source: str) -> ModelVersion:
        """
        What the registry has answered.

        Parameters
        ----------
        version, status : str
            As MLflow keeps them; a version whose files are still being uploaded is not ``READY``.
        run_id : str or None
        source : str
            Where the files are.

        Raises
        ------
        ModelNotFound
            If the version is not ready.
        """
        if status != "READY":
            raise ModelNotFound(
                f"{self.name} version {version} is not ready in the registry: its status is {status}; wait for its "
                "upload to end, or name another version in TREESERVE_MODEL_URI"
            )
        return ModelVersion(self.name, version, self.alias, run_id, source, is_immutable=True)
