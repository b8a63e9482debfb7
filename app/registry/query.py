"""What is asked of a registry, and what to say when it has no answer."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from app.errors import ModelNotFound
from app.model_version import ModelVersion

_MOST_SHOWN = 10  # of what a registry has


@dataclass(frozen=True)
class RegistryQuery:
    """A registered model, and either an alias or a version of it."""

    name: str
    alias: str | None
    version: str | None

    @property
    def filter(self) -> str:
        """The model's versions, in the language in which MLflow searches them."""
        quote = '"' if "'" in self.name else "'"
        return f"name = {quote}{self.name}{quote}"

    def no_model(self, registry: str, known: Sequence[str] | None = None) -> ModelNotFound:
        """
        The error to raise where the registered model itself is not there.

        Parameters
        ----------
        registry : str
            Who was asked: the wrong registry is as likely as the wrong name.
        known : sequence of str or None
            The registered models that are there, if that is known.
        """
        has = "" if known is None else f"; it has {_list(map(repr, known))}" if known else "; it is empty"
        return ModelNotFound(
            f"{registry} has no registered model {self.name!r}{has}. "
            "Train and register it (make train), or name another in the model URI"
        )

    def no_version(self, known: Sequence[str] | None = None) -> ModelNotFound:
        """
        The error to raise where the model is there, and not the version or alias of it.

        Parameters
        ----------
        known : sequence of str or None
            The model's aliases if an alias was asked for, else its versions, the newest first; None if not known.
        """
        if self.alias:
            what, has = f"alias {self.alias!r}", f"aliases: {_list(map(repr, known or ()))}"
            remedy = "Set the alias in MLflow, or name another version in the model URI"
        else:
            what, has = f"version {self.version}", f"versions: {_list(known or ())}"
            remedy = "Name another in the model URI"
        shown = "" if known is None else f" (its {has})"
        return ModelNotFound(f"registered model {self.name!r} has no {what}{shown}. {remedy}")

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
                "upload to end, or name another version in the model URI"
            )
        return ModelVersion(self.name, version, self.alias, run_id, source, is_immutable=True)


def _list(known: Iterable[str]) -> str:
    names = list(known)
    return ", ".join(names[:_MOST_SHOWN]) + (", …" if len(names) > _MOST_SHOWN else "") or "none"
