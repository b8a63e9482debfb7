"""
Named instances to a matrix, whatever valid JSON they come in, and everything that is wrong with those that are not.

Every fault of every instance is found in one pass, so that a caller mends them all at once.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from functools import partial
from typing import Any

import numpy as np

from app.errors import Fault, FaultCode, TooManyInstances
from app.signature import Signature
from app.wire.exchange import UNKNOWN_BITS, Decoded
from app.wire.faults import Faults, escape_pointer
from app.wire.features import FeatureReader, UnknownCategory, WrongValue, build_readers, nearest_name, shorten
from app.wire.json_text import parse_json

# Looking for the nearest name takes up to 50 µs for each known one, so few unknown names get a hint, and none of
# a model with thousands of features.
_MAX_HINTS = 10
_MAX_NAMES_COMPARED = 2_000


class InstancesReader:
    """Reads bodies for one signature; built once a model version, safe to share."""

    def __init__(self, signature: Signature) -> None:
        self._n_features = signature.n_features
        self._readers: dict[str, FeatureReader] = build_readers(signature)
        self._features = signature.features
        self._required = [feature.name for feature in signature.features if feature.required]

    def read(self, body: bytes, *, max_instances: int, unknown_is_missing: bool) -> Decoded:
        """Read a body; parameters and errors are those of `app.wire.decoder.InstancesDecoder.decode`."""
        document, faults = parse_json(body)
        instances = _find_instances(document, max_instances, faults)
        warnings = Faults()
        unknown: dict[int, list[str]] = {}
        rows = []
        for index, instance in enumerate(instances):
            row, unknown_values = self._read_instance(index, instance, faults)
            rows.append(row)
            for name, value in unknown_values:
                (warnings if unknown_is_missing else faults).add_lazily(
                    index, name, FaultCode.UNKNOWN_CATEGORY, value.describe
                )
            if unknown_values:
                unknown[index] = [name for name, _ in unknown_values]
        faults.refuse()
        matrix = np.array(rows, dtype=np.float32)
        for index, names in unknown.items():
            matrix.view(np.uint32)[index, [self._readers[name].column for name in names]] = UNKNOWN_BITS
        return Decoded(matrix, instances, unknown, warnings)

    def warn(self, unknown: Iterable[tuple[int, int, str]], n_found: int) -> Faults:
        """
        What a caller is told of unknown categories that the compiled codec has found.

        Parameters
        ----------
        unknown : iterable of (int, int, str)
            Instance, column and text of each, as many as are listed.
        n_found : int
            All of them.
        """
        warnings = Faults()
        for index, column, text in unknown:
            feature = self._features[column]
            try:
                self._readers[feature.name].read(text if feature.has_names else int(text))
            except UnknownCategory as error:
                warnings.add_lazily(index, feature.name, error.code, error.describe)
        warnings.n_found = n_found
        return warnings

    def _read_instance(
        self, index: int, instance: Any, faults: Faults
    ) -> tuple[list[float], list[tuple[str, UnknownCategory]]]:
        """One row of the matrix, and the features whose category is unknown."""
        unknown_values: list[tuple[str, UnknownCategory]] = []
        row = [math.nan] * self._n_features
        if not isinstance(instance, dict):
            detail = f"an instance must be an object of named features, not {shorten(instance)}"
            faults.add(f"/instances/{index}", FaultCode.NOT_AN_OBJECT, detail)
            return row, unknown_values
        readers = self._readers
        for name, value in instance.items():
            reader = readers.get(name)
            if reader is None:
                describe = partial(self._describe_unknown_feature, hints=faults.hints)
                faults.add_lazily(index, name, FaultCode.UNKNOWN_FEATURE, describe)
            elif value is not None:
                try:
                    row[reader.column] = reader.read(value)
                except UnknownCategory as unknown:
                    unknown_values.append((name, unknown))
                except WrongValue as wrong:
                    faults.add_lazily(index, name, wrong.code, wrong.describe)
        for name in self._required:
            if name not in instance:
                faults.add_lazily(index, name, FaultCode.MISSING_FEATURE, _describe_missing_feature)
        return row, unknown_values

    def _describe_unknown_feature(self, name: str, hints: dict[str, str | None]) -> str:
        if name not in hints and len(hints) < min(_MAX_HINTS, _MAX_NAMES_COMPARED // len(self._readers)):
            hints[name] = nearest_name(name, self._readers)
        nearest = hints.get(name)
        hint = f"; did you mean {nearest!r}?" if nearest else "; GET /model lists the features"
        return f"the model has no feature {shorten(name)}{hint}"


def _find_instances(document: Any, max_instances: int, faults: Faults) -> list[Any]:
    """The instances of a body, or none of them where it has another shape."""
    if not isinstance(document, dict):
        faults.add("", FaultCode.NOT_AN_OBJECT, 'the body must be an object: {"instances": [...]}')
        return []
    for name in document:
        if name not in ("instances", "parameters"):
            faults.add(
                f"/{escape_pointer(name)}",
                FaultCode.UNKNOWN_MEMBER,
                f"{shorten(name)} is not known here; a body has 'instances' and 'parameters'",
            )
    _check_parameters(document.get("parameters"), faults)
    if "instances" not in document:
        faults.add("/instances", FaultCode.MISSING_MEMBER, "the body must have 'instances'")
        return []
    instances = document["instances"]
    if not isinstance(instances, list):
        faults.add("/instances", FaultCode.NOT_AN_ARRAY, f"must be an array of objects, not {shorten(instances)}")
        return []
    if not instances:
        faults.add("/instances", FaultCode.NO_INSTANCES, "there must be at least one instance")
    if len(instances) > max_instances:
        detail = f"{len(instances)} instances in one request; at most {max_instances} are answered"
        raise TooManyInstances(
            f"{detail}. Send them in several requests.",
            [Fault("/instances", FaultCode.TOO_MANY_INSTANCES, detail)],
        )
    return instances


def _check_parameters(parameters: Any, faults: Faults) -> None:
    if parameters is None:
        return
    if not isinstance(parameters, dict):
        faults.add("/parameters", FaultCode.NOT_AN_OBJECT, f"must be an object, not {shorten(parameters)}")
        return
    for name in parameters:
        detail = f"there is no parameter {shorten(name)}; leave 'parameters' out or empty"
        faults.add(f"/parameters/{escape_pointer(name)}", FaultCode.UNKNOWN_PARAMETER, detail)


def _describe_missing_feature(name: str) -> str:
    return f"the required feature {name!r} is missing; send null if its value is not known"
