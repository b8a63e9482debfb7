"""Settings come from the environment, once; one that cannot be used is named with what would be right."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

import pytest
from pydantic import ValidationError

from app.setting_faults import PREFIX
from app.settings import Settings, SettingsInvalid


def refusal(**environ: str) -> str:
    """Why an environment cannot be used."""
    with pytest.raises(SettingsInvalid) as caught:
        Settings.from_environment({PREFIX + name: value for name, value in environ.items()})
    return str(caught.value)


def test_an_empty_environment_serves_the_example_on_this_machine_alone() -> None:
    """The defaults need nothing to be set, and open nothing to the network."""
    settings = Settings.from_environment({})
    assert (settings.model_uri, settings.host, settings.port) == ("models:/flight-delay@champion", "127.0.0.1", 8080)
    assert (settings.max_body_bytes, settings.max_instances) == (16 * 1024 * 1024, 10_000)
    assert (settings.unknown_category, settings.payload_log) == (None, "stdout")


def test_every_setting_is_a_variable_with_the_prefix() -> None:
    """The field `port` is `TREESERVE_PORT`, and so on for all."""
    environ = {
        "TREESERVE_MODEL_URI": "models:/x/1",
        "TREESERVE_CHALLENGER_URI": "models:/x@challenger",
        "TREESERVE_SIGNATURE_POLICY": "any",
        "TREESERVE_POLL_INTERVAL_S": "2.5",
        "TREESERVE_OPERATOR_TOKEN": "**********",  # as it is shown
        "TREESERVE_HOST": "0.0.0.0",  # noqa: S104
        "TREESERVE_PORT": "0",
        "TREESERVE_DEVICE": "cpu",
        "TREESERVE_WORKERS": "3",
        "TREESERVE_CACHE_DIR": "/cache",
        "TREESERVE_MAX_BODY_BYTES": "1",
        "TREESERVE_MAX_INSTANCES": "2",
        "TREESERVE_UNKNOWN_CATEGORY": "missing",
        "TREESERVE_PAYLOAD_LOG": "off",
        "TREESERVE_PAYLOAD_LOG_MAX_BYTES": "1048576",
        "TREESERVE_PAYLOAD_LOG_KEPT": "1",
        "TREESERVE_PAYLOAD_SAMPLE_RATE": "0.01",
        "TREESERVE_PAYLOAD_REDACT": '{"age": "drop"}',
        "TREESERVE_PAYLOAD_REDACT_KEY": "**********",
        "TREESERVE_LOG_TYPED_FEATURES": "5",
        "TREESERVE_MAX_IN_FLIGHT": "3",
        "TREESERVE_SHUTDOWN_GRACE_S": "1.5",
        "TREESERVE_SHUTDOWN_DEADLINE_S": "4.0",
        "TREESERVE_CHALLENGER_SHARE": "0.25",
    }
    settings = Settings.from_environment(environ | {"PATH": "/bin", "TREESERVE_PAYLOAD_REDACT_KEY": "k" * 16})
    shown = {
        PREFIX + name.upper(): json.dumps(value) if isinstance(value, dict) else str(value) for name, value in settings
    }
    assert shown == environ


@pytest.mark.parametrize("name", Settings.model_fields)
def test_an_empty_variable_counts_as_unset(name: str) -> None:
    """`docker run -e TREESERVE_PORT=` and an empty ConfigMap key mean the default."""
    assert Settings.from_environment({PREFIX + name.upper(): ""}) == Settings()


def test_every_wrong_setting_has_its_line() -> None:
    """All are mended in one go."""
    lines = refusal(PORT="x", MAX_INSTANCES="0", HOST="h").splitlines()
    assert [line.partition("=")[0] for line in lines] == ["TREESERVE_PORT", "TREESERVE_MAX_INSTANCES"]


@pytest.mark.parametrize("place", ["/log/payload.log", "./payload", "stdout", "off"])
def test_the_payload_log_is_a_word_or_a_path(place: str) -> None:
    """A file is named with a slash."""
    assert Settings.from_environment({"TREESERVE_PAYLOAD_LOG": place}).payload_log == place


@pytest.mark.parametrize("place", ["sdtout", "payload.log", "OFF"])
def test_a_misspelt_payload_log_makes_no_file(place: str) -> None:
    """Lines in a file called `sdtout` would be missed only when they are needed."""
    assert f"is written `./{place}`" in refusal(PAYLOAD_LOG=place)


@pytest.mark.parametrize(
    ("environ", "deadline"),
    [
        ({"SHUTDOWN_GRACE_S": "5", "SHUTDOWN_DEADLINE_S": "5"}, "'5'"),
        ({"SHUTDOWN_GRACE_S": "30"}, "25.0"),
        ({"SHUTDOWN_DEADLINE_S": "4"}, "'4'"),
    ],
)
def test_a_deadline_that_is_over_before_the_grace_is_refused(environ: dict[str, str], deadline: str) -> None:
    """Whichever of the two was set; both are named."""
    text = refusal(**environ)
    assert text.startswith(f"TREESERVE_SHUTDOWN_DEADLINE_S={deadline}: ")
    assert f"more than the grace, TREESERVE_SHUTDOWN_GRACE_S={environ.get('SHUTDOWN_GRACE_S', '5')}" in text


def test_a_kubernetes_service_link_is_recognised() -> None:
    """A Service called `treeserve` makes Kubernetes set the port to an address, and the text says how to stop it."""
    text = refusal(PORT="tcp://10.0.0.1:8080")
    assert "enableServiceLinks: false" in text
    assert "TREESERVE_PORT='tcp://10.0.0.1:8080'" in text


def test_settings_never_change() -> None:
    """They are read once; nothing may turn them later."""
    with pytest.raises(ValidationError, match="frozen"):
        Settings().port = 1  # type: ignore[misc]


@pytest.mark.parametrize("base", ["/var/cache", None, ""])
def test_the_cache_folder_is_where_such_folders_are(monkeypatch: pytest.MonkeyPatch, base: str | None) -> None:
    """`$XDG_CACHE_HOME` where it is set, else `~/.cache`."""
    monkeypatch.setenv("HOME", "/home/me")
    if base is None:
        monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    else:
        monkeypatch.setenv("XDG_CACHE_HOME", base)
    assert Settings.from_environment({}).cache_dir == Path(base or "/home/me/.cache") / "treeserve"


def test_a_user_without_a_home_has_a_cache_folder_too(monkeypatch: pytest.MonkeyPatch) -> None:
    """Containers run as users that no file knows."""

    def no_home(_: object) -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setattr(Path, "home", classmethod(no_home))
    assert Settings.from_environment({}).cache_dir == Path(tempfile.gettempdir()) / "treeserve"


def test_every_setting_says_what_it_is_for() -> None:
    """The help of the command line is made of these texts."""
    assert all((field.description or "").endswith(".") for field in Settings.model_fields.values())


def test_hashes_want_a_key_that_is_never_shown() -> None:
    """Without one, whoever knows the categories knows the values."""
    assert "TREESERVE_PAYLOAD_REDACT_KEY=…: " in refusal(PAYLOAD_REDACT='{"age": "hash"}')
    shown = refusal(PAYLOAD_REDACT='{"age": "hash"}', PAYLOAD_REDACT_KEY="too short")
    assert "must have at least 16 characters" in shown
    assert "too short" not in shown
    assert "a b" not in refusal(OPERATOR_TOKEN="a b")
    Settings.from_environment({"TREESERVE_PAYLOAD_REDACT": '{"age": "drop"}'})
