"""A setting that cannot be used is told in plain words, and so is a name that is none."""

from __future__ import annotations

import pytest

from app.setting_faults import PREFIX, find_unknown_variables
from app.settings import Settings, SettingsInvalid

REDACT = "must be a JSON object whose values are `drop` or `hash`"


def refusal(name: str, value: str) -> str:
    """Why a setting cannot be used."""
    with pytest.raises(SettingsInvalid) as caught:
        Settings.from_environment({PREFIX + name: value})
    return str(caught.value)


@pytest.mark.parametrize(
    ("name", "value", "wanted"),
    [
        ("PORT", "eighty", "must be a whole number from 0 to 65535"),
        ("PORT", "-1", "must be a whole number from 0 to 65535"),
        ("PORT", "65536", "must be a whole number from 0 to 65535"),
        ("PORT", "80.5", "must be a whole number from 0 to 65535"),
        ("PORT", "9" * 5000, "must be a whole number from 0 to 65535"),
        ("MAX_BODY_BYTES", "0", "must be a whole number from 1 to 2147483648"),
        ("MAX_BODY_BYTES", "16MB", "must be a whole number from 1 to 2147483648"),
        ("MAX_INSTANCES", "0", "must be a whole number from 1 to 10000000"),
        ("MAX_IN_FLIGHT", "0", "must be a whole number from 1 to 1000000"),
        ("POLL_INTERVAL_S", "1e-9", "must be a number from 0.01 to 86400"),
        ("PAYLOAD_SAMPLE_RATE", "1.01", "must be a number from 0 to 1"),
        ("PAYLOAD_SAMPLE_RATE", "-0.1", "must be a number from 0 to 1"),
        ("PAYLOAD_SAMPLE_RATE", "1%", "must be a number from 0 to 1"),
        ("CHALLENGER_SHARE", "1.5", "must be a number from 0 to 1"),
        ("CHALLENGER_SHARE", "half", "must be a number from 0 to 1"),
        ("SHUTDOWN_GRACE_S", "-1", "must be a finite number of at least 0"),
        ("SHUTDOWN_GRACE_S", "inf", "must be a finite number of at least 0"),
        ("SHUTDOWN_DEADLINE_S", "nan", "must be a finite number of at most 86400"),
        ("SHUTDOWN_DEADLINE_S", "25s", "must be a finite number of at most 86400"),
        ("UNKNOWN_CATEGORY", "ignore", "must be `reject` or `missing`"),
        ("UNKNOWN_CATEGORY", "Missing", "must be `reject` or `missing`"),
        ("DEVICE", "gpu", "must be `auto`, `cpu` or `cuda`"),
        ("HOST", "\udcff", "must be text in UTF-8"),
        ("CHALLENGER_URI", "\udcff", "must be text in UTF-8"),
        ("PAYLOAD_LOG", "log", "neither `stdout` nor `off`; a file in the working directory is written `./log`"),
        ("PAYLOAD_REDACT", "age", f"{REDACT}; it is not JSON: expected value at line 1 column 1"),
        ("PAYLOAD_REDACT", '["age"]', REDACT),
    ],
)
def test_what_is_wrong_and_what_would_be_right_is_told(name: str, value: str, wanted: str) -> None:
    """The operator sees what was set, where, and what to set instead; not what a library calls it."""
    shown = repr(["age"] if value.startswith("[") else value)
    assert refusal(name, value) == f"TREESERVE_{name}={shown}: {wanted}"


def test_what_is_wrong_inside_a_setting_is_told_with_its_place() -> None:
    """Feature names may have any character."""
    assert refusal("PAYLOAD_REDACT", '{"an age": "mask", "x": "drop", "y": 1}').splitlines() == [
        "TREESERVE_PAYLOAD_REDACT['an age']='mask': must be `drop` or `hash`",
        "TREESERVE_PAYLOAD_REDACT['y']=1: must be `drop` or `hash`",
    ]


@pytest.mark.parametrize("name", Settings.model_fields)
def test_no_setting_is_told_in_a_librarys_words(name: str) -> None:
    """Bytes that are no text are wrong for each but a path."""
    if name != "cache_dir":
        told = refusal(name.upper(), "\udcff")
        assert "nput should" not in told
        assert "alue error" not in told


@pytest.mark.parametrize(
    ("variable", "meant"),
    [
        ("TREESERVE_PROT", "TREESERVE_PORT"),
        ("TREESERVE_MAX_INSTANCE", "TREESERVE_MAX_INSTANCES"),
        ("TREESERVE_ZZZ", None),
        ("treeserve_port", "TREESERVE_PORT"),
        ("TREESERVE_max_instances", "TREESERVE_MAX_INSTANCES"),
        ("Treeserve_Prot", "TREESERVE_PORT"),
        ("treeserve_zzz", None),
    ],
)
def test_an_unknown_variable_is_told_with_the_one_perhaps_meant(variable: str, meant: str | None) -> None:
    """Misspelt, or not in capitals, it would otherwise be the default, silently."""
    given = {variable: "1", "TREESERVE_PORT": "1", "HOME": "/"}
    assert find_unknown_variables(given, Settings.model_fields) == {variable: meant}


@pytest.mark.parametrize(
    "variable", ["TREESERVE_SERVICE_HOST", "TREESERVE_SERVICE_PORT_HTTP", "TREESERVE_PORT_8080_TCP_ADDR", "MLFLOW_X"]
)
def test_what_kubernetes_sets_by_itself_is_not_told(variable: str) -> None:
    """A warning at every start that means nothing teaches to ignore warnings."""
    assert find_unknown_variables({variable: "1"}, Settings.model_fields) == {}
