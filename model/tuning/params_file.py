"""Training parameters as lines of `params.yaml`, and into it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from model.errors import ParameterInvalid
from model.parameters import read_parameters
from model.tuning.space import put_values


def render_values(values: Mapping[str, int | float]) -> str:
    """Lines for the section `train` of `params.yaml`."""
    return "train:\n" + "".join(f"  {name}: {value}\n" for name, value in values.items())


def write_values(values: Mapping[str, int | float], file: Path) -> None:
    """
    Change these values in a file such as `params.yaml` and nothing else: comments stay.

    Raises
    ------
    ParameterInvalid
        If the file has not each of them on a line of its own. It then stays as it was.
    """
    wanted = put_values(read_parameters(file).train, values)
    text = file.read_text(encoding="utf-8")
    for name, value in values.items():
        text = re.sub(rf"^(\s+{name}:[ ]*)[^\s#]+", rf"\g<1>{value}", text, count=1, flags=re.MULTILINE)
    changed = file.with_name(f"{file.name}.new")
    try:
        changed.write_text(text, encoding="utf-8")
        if read_parameters(changed).train != wanted:
            raise ParameterInvalid(f"{file.name} has not each parameter on a line of its own: write them by hand")
        changed.replace(file)
    finally:
        changed.unlink(missing_ok=True)
