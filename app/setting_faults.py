"""What is wrong with the settings that were given, in plain sentences: with a value, and with a name."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from typing import Any

from pydantic_core import ErrorDetails

PREFIX = "TREESERVE_"


def tell_fault(fault: ErrorDetails, schema: Mapping[str, Any]) -> str:
    """
    Say which variable cannot be used, what it was set to, and what would be right.

    Parameters
    ----------
    fault : ErrorDetails
        Found by pydantic, whose words presume that one knows it.
    schema : mapping
        The JSON schema of the settings.
    """
    name, *inside = fault["loc"]
    wanted = schema["properties"][name]
    wanted = wanted.get("anyOf", [wanted])[0]  # where it may be unset, without that
    variable = PREFIX + str(name).upper() + "".join(f"[{key!r}]" for key in inside)
    shown = "…" if wanted.get("writeOnly") else repr(fault["input"])
    return f"{variable}={shown}: {_explain(fault, wanted)}"


def _explain(fault: ErrorDetails, wanted: Mapping[str, Any]) -> str:
    if fault["type"] == "value_error":  # these words are ours
        return str(fault["ctx"]["error"])
    if "contentSchema" in wanted:
        return _explain_json(fault, wanted["contentSchema"]["additionalProperties"])
    if "enum" in wanted:
        return f"must be {_choice(wanted['enum'])}"
    if wanted["type"] != "string":
        return f"must be {_range(wanted)}"
    is_short = fault["type"].endswith("too_short")
    return f"must have at least {wanted['minLength']} characters" if is_short else "must be text in UTF-8"


def _explain_json(fault: ErrorDetails, values: Mapping[str, Any]) -> str:
    choice = _choice(values["enum"])
    if len(fault["loc"]) > 1:
        return f"must be {choice}"
    no_json = f"; it is not JSON: {fault['ctx']['error']}" if fault["type"] == "json_invalid" else ""
    return f"must be a JSON object whose values are {choice}{no_json}"


def _choice(words: Iterable[str]) -> str:
    *others, last = (f"`{word}`" for word in words)
    return f"{', '.join(others)} or {last}"


def _range(wanted: Mapping[str, Any]) -> str:
    is_whole = wanted["type"] == "integer"
    least, most = wanted.get("minimum"), wanted.get("maximum")
    if least is not None and most is not None:
        return f"a {'whole ' if is_whole else ''}number from {least} to {most}"
    bound = f"least {least}" if most is None else f"most {most}"
    return f"a {'whole' if is_whole else 'finite'} number of at {bound}"


def find_unknown_variables(environ: Mapping[str, str], names: Iterable[str]) -> dict[str, str | None]:
    """
    Variables with our prefix that are no setting, each with the setting perhaps meant.

    A setting's name in other than capitals is one of them: nothing else would tell that it is without effect. They are
    told and not refused: Kubernetes sets such variables itself beside a Service called `treeserve`
    (``TREESERVE_SERVICE_HOST``, ``TREESERVE_PORT_8080_TCP``).

    Parameters
    ----------
    environ : mapping of str to str
    names : iterable of str
        Of the settings.
    """
    known = [name.upper() for name in names]
    strangers = [
        name
        for name in environ
        if name.upper().startswith(PREFIX)
        and not (name.startswith(PREFIX) and name.removeprefix(PREFIX) in known)
        and not name.startswith((PREFIX + "SERVICE_", PREFIX + "PORT_"))
    ]
    # Compared without the prefix, which all of them share and which would make any two look alike.
    nearest = {name: difflib.get_close_matches(name.upper().removeprefix(PREFIX), known, n=1) for name in strangers}
    return {name: PREFIX + found[0] if found else None for name, found in nearest.items()}
