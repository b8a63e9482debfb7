"""Parameters in a file, each with its range and its meaning; what is out of it is told in one sentence."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import field, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import yaml

from model.errors import ParameterInvalid

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

    Kind = TypeVar("Kind", bound=DataclassInstance)


def number(kind: type, meaning: str, minimum: float, maximum: float) -> Any:
    """Declare the field of a dataclass: a number from `minimum` to `maximum`."""
    return field(metadata={"type": kind, "help": meaning, "minimum": minimum, "maximum": maximum})


def choice(meaning: str, *choices: str) -> Any:
    """Declare the field of a dataclass: one of some words."""
    return field(metadata={"type": str, "help": meaning, "choices": choices})


def check_ranges(parameters: DataclassInstance) -> None:
    """
    Refuse what is out of its range.

    Raises
    ------
    ParameterInvalid
    """
    for spec in fields(parameters):
        value = getattr(parameters, spec.name)
        if "choices" in spec.metadata:
            if value not in spec.metadata["choices"]:
                raise ParameterInvalid(f"{spec.name} is {value!r}; choose one of {spec.metadata['choices']}")
        else:
            low, high = spec.metadata["minimum"], spec.metadata["maximum"]
            if not low <= value <= high:  # nor is NaN
                raise ParameterInvalid(f"{spec.name} is {value}; it must be from {low:g} to {high:g}")


def make(kind: type[Kind], told: Mapping[str, Any]) -> Kind:
    """
    Make parameters of what a file says.

    Raises
    ------
    ParameterInvalid
        If it says something else than they are, or too little.
    """
    if unknown := set(told) - {spec.name for spec in fields(kind)}:
        raise ParameterInvalid(f"there is no parameter {min(unknown)}")
    for spec in fields(kind):
        type_, value = spec.metadata["type"], told[spec.name]
        if isinstance(value, bool) or not isinstance(value, (int, float) if type_ is float else type_):
            raise ParameterInvalid(f"{spec.name} is {value!r}, which is no {type_.__name__}")
    return kind(**{spec.name: spec.metadata["type"](told[spec.name]) for spec in fields(kind)})


def read_sections(path: Path) -> Any:
    """Read a file such as `params.yaml`, in `explained`."""
    return yaml.safe_load(path.read_text(encoding="utf-8"))


def read_section(kind: type[Kind], section: str, path: Path) -> Kind:
    """
    Read one section of such a file, which is all parameters of one kind.

    Raises
    ------
    ParameterInvalid
    """
    with explained(path):
        return make(kind, read_sections(path)[section])


@contextmanager
def explained(path: Path) -> Iterator[None]:
    """Turn what is wrong with such a file into one sentence that names it."""
    try:
        yield
    except ParameterInvalid as error:
        raise ParameterInvalid(f"{path.name}: {error}") from None
    except KeyError as error:
        raise ParameterInvalid(f"{path.name} says nothing of {error}") from None
    except (OSError, TypeError, ValueError, yaml.YAMLError) as error:
        raise ParameterInvalid(f"{path} cannot be read: {error}") from None
