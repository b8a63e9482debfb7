"""
Every setting of the service: its environment variable, its default and what it is for.

Read once, at start; frozen from then on.
"""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    Json,
    SecretStr,
    ValidationError,
    ValidationInfo,
    field_validator,
)

from app.setting_faults import PREFIX, tell_fault

Device = Literal["auto", "cpu", "cuda"]


class SettingsInvalid(Exception):
    """A setting cannot be used; the text names it and says what would be right."""


def _default_cache_dir() -> Path:
    try:
        base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    except RuntimeError:  # a user without a home, as containers have them
        base = Path(tempfile.gettempdir())
    return Path(base) / "treeserve"


class Settings(BaseModel):
    """The service's settings; the field `port` is the variable `TREESERVE_PORT`, and so on."""

    model_config = ConfigDict(frozen=True, extra="forbid", protected_namespaces=())

    model_uri: str = Field(
        "models:/flight-delay@champion",
        min_length=1,
        description="The model version to serve: `models:/name@alias`, `models:/name/version`, `runs:/…`, "
        "an artifact-store URI or a local directory.",
    )
    challenger_uri: str | None = Field(
        None,
        min_length=1,
        description="A model version to try beside the one that serves, such as `models:/flight-delay@challenger`.",
    )
    signature_policy: Literal["same", "any"] = Field(
        "same",
        description="What a new model version, or a challenger, may ask of callers and answer them: nothing that the "
        "one which serves does not (`same`), or whatever it likes (`any`). Further categories and optional features "
        "are the same.",
    )
    poll_interval_s: float = Field(
        15.0,
        ge=0.01,
        le=86_400,
        allow_inf_nan=False,
        description="Seconds between two looks at an alias in the registry; other URIs are not looked at again.",
    )
    operator_token: SecretStr | None = Field(
        None,
        min_length=1,
        description="What `POST /model/refresh` wants as a bearer token; unset, it answers this machine alone.",
    )
    host: str = Field("127.0.0.1", min_length=1, description="The address to listen on.")
    port: int = Field(8080, ge=0, le=65535, description="The port to listen on; 0 takes a free one.")
    device: Device = Field(
        "auto",
        description="What evaluates the trees: `cpu`; `cuda`, an NVIDIA GPU, without which the service does not start; "
        "or `auto`, a GPU, if there is one, for as many rows as it is quicker with.",
    )
    workers: int = Field(
        1,
        ge=1,
        le=1024,
        description="How many processes serve on this machine, on one port and under one registry watch.",
    )
    cache_dir: Path = Field(
        default_factory=_default_cache_dir,
        description="Where downloaded model versions are kept; `$XDG_CACHE_HOME/treeserve` or `~/.cache/treeserve`.",
    )
    max_body_bytes: int = Field(
        16 * 1024 * 1024, ge=1, le=2**31, description="A larger request body is refused with 413 before it is read."
    )
    max_instances: int = Field(
        10_000, ge=1, le=10_000_000, description="More instances in one request are refused with 413."
    )
    unknown_category: Literal["reject", "missing"] | None = Field(
        None,
        description="What an unknown category is: an error (`reject`) or a missing value (`missing`). Unset, the "
        "model version's `card.json` decides, and where it is silent too, `reject`.",
    )
    payload_log: str = Field(
        "stdout",
        min_length=1,
        description="Where the record of instances and predictions goes: `stdout`, `off` or a file's path, "
        "with a slash in it.",
    )
    payload_log_max_bytes: int = Field(
        256 * 1024 * 1024,
        ge=1024 * 1024,
        le=2**40,
        description="The size at which that file is renamed, to `….1`, and begun anew.",
    )
    payload_log_kept: int = Field(
        4, ge=1, le=1000, description="How many renamed files are kept; older ones are removed."
    )
    payload_sample_rate: float = Field(
        1.0,
        ge=0,
        le=1,
        description="The share of requests whose instances are recorded, all of a request's or none; its id decides, "
        "so that a request is recorded by every replica or by none.",
    )
    payload_redact: Json[dict[str, Literal["drop", "hash"]]] = Field(
        default_factory=dict,
        description="What the record does not show: a JSON object of features, each with `drop`, or with `hash` for a "
        'keyed hash in the place of its values, such as `{"tail_number": "hash", "age": "drop"}`.',
    )
    payload_redact_key: SecretStr | None = Field(
        None,
        min_length=16,
        validate_default=True,
        description="The key of these hashes, 16 characters or more: where it is the same, so are the hashes.",
    )
    log_typed_features: int = Field(
        200,
        ge=0,
        le=900,
        description="How many features have a field of their own in the record; the values of the others stand in one "
        "field together, for Elasticsearch takes no more than 1,000 fields.",
    )
    max_in_flight: int = Field(
        128,
        ge=1,
        le=1_000_000,
        description="More predictions at once, received and not yet answered, are refused with 503 before they are "
        "read.",
    )
    shutdown_grace_s: float = Field(
        5.0,
        ge=0,
        allow_inf_nan=False,
        description="How many seconds after SIGTERM requests are still accepted and answered while `/readyz` says 503, "
        "so that load balancers notice.",
    )
    shutdown_deadline_s: float = Field(
        25.0,
        le=86_400,
        allow_inf_nan=False,
        validate_default=True,
        description="How many seconds after SIGTERM the process has ended at the latest, the grace included.",
    )

    challenger_share: float = Field(
        0.0,
        ge=0,
        le=1,
        description="The share of callers' keys that the challenger answers; the champion answers the others.",
    )

    @field_validator("payload_log")
    @classmethod
    def _is_a_word_or_a_path(cls, value: str) -> str:
        if value not in ("stdout", "off") and "/" not in value:
            raise ValueError(f"neither `stdout` nor `off`; a file in the working directory is written `./{value}`")
        return value

    @field_validator("payload_redact_key")
    @classmethod
    def _is_there_for_hashes(cls, value: SecretStr | None, info: ValidationInfo) -> SecretStr | None:
        if value is None and "hash" in info.data.get("payload_redact", {}).values():
            raise ValueError(f"must be set, for {PREFIX}PAYLOAD_REDACT has a `hash`")
        return value

    @field_validator("operator_token")
    @classmethod
    def _fits_into_a_header(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None and not re.fullmatch(r"[\x21-\x7e]+", value.get_secret_value()):
            raise ValueError("must be printable ASCII without spaces, to go into a header")
        return value

    @field_validator("shutdown_deadline_s")
    @classmethod
    def _is_beyond_the_grace(cls, value: float, info: ValidationInfo) -> float:
        grace_s = info.data.get("shutdown_grace_s", 0.0)
        if value <= grace_s:
            raise ValueError(f"must be more than the grace, {PREFIX}SHUTDOWN_GRACE_S={grace_s:g}")
        return value

    @field_validator("port", mode="before")
    @classmethod
    def _is_not_a_service_link(cls, value: object) -> object:
        if isinstance(value, str) and value.startswith("tcp://"):
            raise ValueError(
                "Kubernetes sets this variable itself for a Service called 'treeserve'; "
                "give the pod `enableServiceLinks: false`"
            )
        return value

    @classmethod
    def from_environment(cls, environ: Mapping[str, str]) -> Settings:
        """
        Read the settings from environment variables; an empty one counts as unset.

        Raises
        ------
        SettingsInvalid
            With a line for each variable that cannot be used.
        """
        given = {name: environ[variable] for name in cls.model_fields if environ.get(variable := PREFIX + name.upper())}
        try:
            return cls.model_validate(given)
        except ValidationError as error:
            schema = cls.model_json_schema()
            told = [tell_fault(fault, schema) for fault in error.errors(include_url=False)]
            raise SettingsInvalid("\n".join(told)) from None
