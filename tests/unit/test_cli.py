"""The command line says what it can do, and what it cannot, before anything is served."""

from __future__ import annotations

import json
import logging
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from app import __version__, cli
from app.setting_faults import PREFIX
from app.settings import Settings

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(autouse=True)
def own_interrupt() -> Iterator[None]:
    """The command line handles the signal in its own way; pytest needs its own back."""
    handler = signal.getsignal(signal.SIGINT)
    yield
    signal.signal(signal.SIGINT, handler)


@pytest.fixture
def no_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    """Start without any of the developer's own."""
    for name in os.environ:
        if name.startswith((PREFIX, "MLFLOW_")):
            monkeypatch.delenv(name)


def log_lines(text: str) -> list[dict[str, str]]:
    """Each line of the output, which must all be JSON."""
    return [json.loads(line) for line in text.splitlines()]


def written(capfd: pytest.CaptureFixture[str]) -> list[dict[str, str]]:
    """What this process has logged, once it is written."""
    for handler in logging.getLogger().handlers:
        handler.close()
    return log_lines(capfd.readouterr().out)


def run(*arguments: str, **environ: str) -> subprocess.CompletedProcess[str]:
    """Run the command as its own process, with these variables and no others of ours."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith((PREFIX, "MLFLOW_"))}
    command = [sys.executable, "-c", "import sys; from app.cli import main; sys.exit(main())", *arguments]
    return subprocess.run(command, env=inherited | environ, cwd=ROOT, capture_output=True, text=True, check=False)


def test_the_version_is_the_packages(capsys: pytest.CaptureFixture[str]) -> None:
    """What is installed says what it is."""
    with pytest.raises(SystemExit) as ended:
        cli.main(["--version"])
    assert (ended.value.code, capsys.readouterr().out) == (0, f"treeserve {__version__}\n")


def test_the_help_lists_every_setting_with_its_default(capsys: pytest.CaptureFixture[str]) -> None:
    """Nobody needs the internet to find the name of a setting."""
    with pytest.raises(SystemExit) as ended:
        cli.main(["serve", "--help"])
    text = capsys.readouterr().out
    assert ended.value.code == 0
    for name, field in Settings.model_fields.items():
        default = "" if field.default is None or field.default_factory else f" [{field.default}]"
        assert f"  {PREFIX}{name.upper()}{default}\n      {field.description}\n" in text
    assert "MLFLOW_TRACKING_URI" in text


@pytest.mark.parametrize(
    "arguments",
    [
        [], ["deploy"], ["serve", "now"], ["--port", "1"], ["bodies"], ["bodies", "http://x", "-n", "0"],
        ["bodies", "http://x", "-n", "1e3"], ["bodies", "http://x", "--instances", "-1"], ["bodies", "http://x", "y"],
    ],
)  # fmt: skip
def test_a_command_that_is_none_is_refused_with_the_usage(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    """Status 2, and the words on standard error."""
    with pytest.raises(SystemExit) as ended:
        cli.main(arguments)
    assert ended.value.code == 2
    assert capsys.readouterr().err.startswith("usage: treeserve")


@pytest.mark.usefixtures("own_logging", "no_settings")
def test_a_setting_that_cannot_be_used_ends_with_status_2(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """In one line of JSON that names every one of them."""
    monkeypatch.setenv("TREESERVE_PORT", "tcp://10.0.0.1:8080")
    monkeypatch.setenv("TREESERVE_MAX_INSTANCES", "none")
    assert cli.main(["serve"]) == 2
    [line] = written(capfd)
    assert line["log.level"] == "critical"
    assert "TREESERVE_PORT='tcp://10.0.0.1:8080'" in line["message"]
    assert "TREESERVE_MAX_INSTANCES='none'" in line["message"]


@pytest.mark.usefixtures("own_logging", "no_settings")
def test_a_variable_that_is_no_setting_is_told(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """With the one perhaps meant; the service starts all the same."""
    monkeypatch.setenv("TREESERVE_PROT", "1")
    monkeypatch.setenv("TREESERVE_SERVICE_HOST", "10.0.0.1")
    monkeypatch.setattr("app.serve.serve", lambda settings, _: settings.port)
    assert cli.main(["serve"]) == 8080
    [line] = written(capfd)
    assert line["message"] == "TREESERVE_PROT is no setting and is ignored; did you mean TREESERVE_PORT?"
    assert line["log.level"] == "warning"


@pytest.mark.usefixtures("own_logging", "no_settings")
def test_a_share_without_a_challenger_is_told(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """Somebody expects a canary, and there is none."""
    monkeypatch.setenv("TREESERVE_CHALLENGER_SHARE", "0.5")
    monkeypatch.setattr("app.serve.serve", lambda *_: 0)
    assert cli.main(["serve"]) == 0
    [line] = written(capfd)
    assert "without TREESERVE_CHALLENGER_URI" in line["message"]


def test_a_payload_log_that_cannot_be_opened_ends_with_status_1(tmp_path: Path) -> None:
    """Before it listens, and without a stack trace."""
    ended = run("serve", TREESERVE_PAYLOAD_LOG=str(tmp_path / "no" / "log"), TREESERVE_PORT="0")
    assert (ended.returncode, ended.stderr) == (1, "")
    [line] = log_lines(ended.stdout)
    assert re.fullmatch(r"cannot start: TREESERVE_PAYLOAD_LOG=.*/no/log cannot .*: No such file.*", line["message"])


def test_a_model_that_cannot_serve_ends_with_status_1(tmp_path: Path) -> None:
    """The reason is one critical line, and every line is JSON."""
    ended = run("serve", TREESERVE_MODEL_URI=str(tmp_path), TREESERVE_PORT="0", TREESERVE_CACHE_DIR=str(tmp_path))
    assert (ended.returncode, ended.stderr) == (1, "")
    [line] = [line for line in log_lines(ended.stdout) if line["log.level"] == "critical"]
    assert line["message"].startswith(
        f"no model serves; TREESERVE_MODEL_URI={tmp_path}: {tmp_path} is not a folder with an MLmodel file"
    )


def test_an_interrupt_while_it_is_being_imported_leaves_no_traceback() -> None:
    """Somebody who changes their mind at once sees nothing but the prompt."""
    code = (
        "import os, signal; from app import cli;"
        "cli._serve = lambda _: os.kill(os.getpid(), signal.SIGINT); cli.main(['serve'])"
    )
    ended = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert (ended.returncode, ended.stdout, ended.stderr) == (-signal.SIGINT, "", "")


def test_settings_are_checked_before_anything_slow_is_imported() -> None:
    """A misspelt value is told in a fraction of a second."""
    code = "import sys; from app.cli import main; main(['serve']); print(*sorted(sys.modules))"
    environ = {"TREESERVE_PORT": "x", "PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT)}
    ended = subprocess.run([sys.executable, "-c", code], env=environ, capture_output=True, text=True, check=True)
    loaded = set(ended.stdout.splitlines()[-1].split())
    assert "app.settings" in loaded
    assert not loaded & {"xgboost", "numpy", "mlflow", "fastapi", "uvicorn"}
