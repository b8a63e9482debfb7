"""What the watch of the registry has found out, as it is told to whoever serves."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from app.backoff import pause_before
from app.errors import ModelError, ModelNotFound, ModelUnfit, ModelUriInvalid
from app.model_version import ModelVersion
from app.preparation.prepared import Prepared
from app.registry.resolve import names_alias

# A rejected version is tried again after so long, twice as long each time: what was wrong may have been ours.
_FIRST_RETRY_S, _LAST_RETRY_S = 15.0, 600.0
# What nothing but another version can mend.
_LASTING = {kind.__name__ for kind in (ModelNotFound, ModelUnfit)}


@dataclass(frozen=True)
class Trouble:
    """
    Why what serves is not what the registry names.

    Attributes
    ----------
    kind : str
        The name of the `ModelError`.
    reason : str
    version : str or None
        The one that the registry names and that was rejected; None if the registry did not say.
    at_s : float
        When it was met last, in seconds since the epoch.
    n_times : int
    retry_at_s : float
        When a rejected version is tried again, by `time.monotonic`.
    """

    kind: str
    reason: str
    version: str | None
    at_s: float
    n_times: int
    retry_at_s: float

    @classmethod
    def of(
        cls, error: ModelError, version: str | None, before: Trouble | None, *, retries_at_once: bool = False
    ) -> Trouble:
        """An error, met once more if the trouble before is the same version's; the first retry may be at once."""
        n_times = before.n_times + 1 if before and before.version == version else 1
        pause_s = 0.0 if retries_at_once and n_times == 1 else pause_before(n_times, _FIRST_RETRY_S, _LAST_RETRY_S)
        return cls(type(error).__name__, str(error), version, time.time(), n_times, time.monotonic() + pause_s)

    def holds_back(self, version: ModelVersion) -> bool:
        """Whether it is known that the version cannot serve, and too early to try again."""
        return self.version == version.version and time.monotonic() < self.retry_at_s


@dataclass(frozen=True)
class Standing:
    """
    How things stand with one model URI. Seconds are `time.monotonic`'s, which the processes of a machine share.

    Attributes
    ----------
    uri : str
    prepared : Prepared or None
        What shall serve.
    confirmed_at_s : float or None
        When the registry has said last that the URI means just that.
    prepared_in_s : float
        What it took to have it ready, from asking the registry on.
    trouble : Trouble or None
        None if all was well when the registry was asked last.
    """

    uri: str
    prepared: Prepared | None = None
    confirmed_at_s: float | None = None
    prepared_in_s: float = 0.0
    trouble: Trouble | None = None

    @property
    def is_pinned(self) -> bool:
        """Whether the URI means one version for ever."""
        return not names_alias(self.uri)

    @property
    def is_confirmed(self) -> bool:
        """Whether what shall serve is what the registry names."""
        return self.prepared is not None and self.trouble is None

    @property
    def is_absent(self) -> bool:
        """Whether nothing shall serve, because the registry names nothing."""
        trouble = self.trouble
        return not self.prepared and bool(trouble and not trouble.version and trouble.kind == ModelNotFound.__name__)

    @property
    def is_hopeless(self) -> bool:
        """Whether nothing shall serve, and to ask again would not change that."""
        if self.prepared or not self.trouble:
            return False
        kind = self.trouble.kind
        return kind == ModelUriInvalid.__name__ or (self.is_pinned and kind in _LASTING)

    def to_json(self) -> dict[str, Any]:
        """As JSON has it."""
        return {**asdict(self), "prepared": self.prepared and self.prepared.to_json()}

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> Standing:
        """What `to_json` made."""
        prepared, trouble = document["prepared"], document["trouble"]
        parts = {"prepared": prepared and Prepared.from_json(prepared), "trouble": trouble and Trouble(**trouble)}
        return cls(**{**document, **parts})
