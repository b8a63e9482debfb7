"""
What the README tells a newcomer to do works: every command of it is run, in a fresh clone with an empty home.

Installing takes packages from the cache that made this environment, where there is one.
"""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.clone import copy_project
from tests.processes import PROJECT, free_port

pytestmark = pytest.mark.example

README = (PROJECT / "README.md").read_text(encoding="utf-8")
COMMANDS = [block.strip() for block in re.findall(r"```bash\n(.*?)```", README, re.DOTALL)]
SNIPPETS = [block.strip() for block in re.findall(r"```python\n(.*?)```", README, re.DOTALL)]

RUN, PREDICT, TRAIN, LOOK, OWN, PREDICT_OWN = range(6)
READY_WITHIN_S = 120  # the set-up included
SECOND_READY_WITHIN_S = 5


def get(url: str) -> Any:
    """The JSON that a URL answers; None while nobody answers with 200."""
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:  # noqa: S310
            return json.loads(answer.read())
    except OSError:
        return None


@pytest.fixture(scope="module")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The project's files as they are now, in another folder, with nothing made yet."""
    return copy_project(tmp_path_factory.mktemp("clone") / "treeserve")


@pytest.fixture(scope="module")
def environ(clone: Path) -> dict[str, str]:
    """A newcomer's environment: an empty home, and none of our settings."""
    home = clone.parent / "home"
    home.mkdir()
    cache = os.environ.get("UV_CACHE_DIR") or str(Path.home() / ".cache" / "uv")
    foreign = ("TREESERVE_", "MLFLOW_", "MAKE", "OMP_")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(foreign)}
    return {
        **kept,
        "HOME": str(home),
        "XDG_CACHE_HOME": str(home / ".cache"),
        "UV_CACHE_DIR": cache,
        "TREESERVE_PORT": str(free_port()),
    }


@contextmanager
def started(command: str, clone: Path, environ: dict[str, str], url: str) -> Iterator[tuple[Any, float]]:
    """A command that goes on running: what its URL answers and after how long; Ctrl-C ends it."""
    begun = time.monotonic()
    with (clone.parent / "output").open("w") as output, (clone.parent / "errors").open("w") as errors:
        process = subprocess.Popen(
            ["bash", "-c", command],
            cwd=clone,
            env=environ,
            stdout=output,
            stderr=errors,
            start_new_session=True,
        )
        try:
            while (answer := get(url)) is None:
                if process.poll() is not None or time.monotonic() - begun > READY_WITHIN_S:
                    said = [(clone.parent / name).read_text()[-2000:] for name in ("output", "errors")]
                    pytest.fail(f"{command!r} does not answer:\n" + "\n".join(said))
                time.sleep(0.05)
            yield answer, time.monotonic() - begun
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGINT)
            process.wait(timeout=60)


def predict(command: int, environ: dict[str, str]) -> float:
    """The only prediction that one of the README's commands is answered."""
    line = COMMANDS[command].replace("8080", environ["TREESERVE_PORT"])
    answered = subprocess.run(["bash", "-c", line], capture_output=True, text=True, check=True, timeout=30)
    (prediction,) = json.loads(answered.stdout)["predictions"]
    return float(prediction)


def test_the_readme_has_the_commands_that_are_run_here() -> None:
    """A new command in the README fails this until it is run below."""
    assert len(COMMANDS) == 6
    assert len(SNIPPETS) == 1
    assert [COMMANDS[RUN], COMMANDS[LOOK]] == ["make run", "make mlflow-ui"]
    assert COMMANDS[PREDICT].startswith("curl -s localhost:8080/predict")
    assert COMMANDS[TRAIN].startswith("make train ARGS=")
    assert COMMANDS[OWN].splitlines()[0] == ".venv/bin/python mine.py"
    assert COMMANDS[OWN].endswith("make run")
    assert COMMANDS[PREDICT_OWN].startswith("curl -s localhost:8080/predict")


def test_make_run_answers_from_a_fresh_clone(clone: Path, environ: dict[str, str]) -> None:
    """`make run` trains, registers and serves; the README's request is answered, and so is the example of /model."""
    base = f"http://127.0.0.1:{environ['TREESERVE_PORT']}"
    with started(COMMANDS[RUN], clone, environ, f"{base}/readyz") as (ready, seconds):
        print(f"first `make run` ready after {seconds:.1f} s, set-up included")
        assert ready == {"ready": True, "name": "flight-delay", "version": "1"}
        (shown,) = re.findall(r'"predictions": \[([0-9.]+)…', README)
        # Training is exact on one machine; on another, sums may be taken in another order.
        assert predict(PREDICT, environ) == pytest.approx(float(shown), abs=0.02)
        model = get(f"{base}/model")
        assert model["training"]["metrics"]["test_auc"] >= 0.68
        assert (model["alias"], model["task"]) == ("champion", "binary_classification")
    output = (clone.parent / "output").read_text()
    errors = (clone.parent / "errors").read_text()
    for text in (output, errors):
        assert "Traceback" not in text
        assert "warning" not in text.lower()
    assert len(errors.splitlines()) < 60, errors  # the steps of training, and nothing of the installation
    assert "336,776 flights; 9,430 cancelled or diverted, without an outcome, are dropped" in output
    assert "1 known wrong value(s) made missing" in output
    assert "round 25: auc on the stopping rows" in output


def test_the_second_make_run_is_quick(clone: Path, environ: dict[str, str]) -> None:
    """With the model there, `make run` neither installs nor trains again."""
    with started(COMMANDS[RUN], clone, environ, f"http://127.0.0.1:{environ['TREESERVE_PORT']}/readyz") as (
        ready,
        seconds,
    ):
        print(f"second `make run` ready after {seconds:.1f} s")
        assert ready["version"] == "1"
        assert seconds < SECOND_READY_WITHIN_S
    assert "Installing" not in (clone.parent / "output").read_text()
    assert (clone.parent / "errors").read_text() == ""


@pytest.mark.slow  # it trains a second time
def test_a_changed_parameter_makes_the_next_version(clone: Path, environ: dict[str, str]) -> None:
    """`make train` with another depth registers the next version as champion, and MLflow's page knows it."""
    before = list((clone / ".mlflow" / "artifacts" / "flight-delay" / "models").glob("m-*"))
    version = str(len(before) + 1)
    subprocess.run(
        ["bash", "-c", COMMANDS[TRAIN]], cwd=clone, env=environ, check=True, timeout=300, capture_output=True
    )
    with started(COMMANDS[RUN], clone, environ, f"http://127.0.0.1:{environ['TREESERVE_PORT']}/readyz") as (ready, _):
        assert ready["version"] == version
    port = str(free_port())
    url = f"http://127.0.0.1:{port}/api/2.0/mlflow/registered-models/get?name=flight-delay"
    with started(COMMANDS[LOOK], clone, {**environ, "MLFLOW_PORT": port}, url) as (answer, _):
        assert answer["registered_model"]["aliases"] == [{"alias": "champion", "version": version}]
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=10) as page:
            assert b"<title>MLflow</title>" in page.read()


def test_a_model_of_ones_own_is_served(clone: Path, environ: dict[str, str]) -> None:
    """The README's script registers a model in the store of the project, and its command serves it."""
    (clone / "mine.py").write_text(SNIPPETS[0], encoding="utf-8")
    with started(COMMANDS[OWN], clone, environ, f"http://127.0.0.1:{environ['TREESERVE_PORT']}/readyz") as (ready, _):
        assert (ready["name"], ready["version"]) == ("mine", "1")
        assert predict(PREDICT_OWN, environ) > 0.8
    assert not {"mlruns", "mlartifacts", "mlflow.db"} & {path.name for path in clone.iterdir()}
    assert list((clone / ".mlflow" / "artifacts" / "mine").rglob("model.ubj"))


def test_a_port_that_is_taken_is_told_by_make_mlflow_ui(clone: Path, environ: dict[str, str]) -> None:
    """MLflow itself would try for ever."""
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        asked = {**environ, "MLFLOW_PORT": str(port)}
        ended = subprocess.run(
            ["make", "mlflow-ui"], cwd=clone, env=asked, capture_output=True, text=True, check=False, timeout=60
        )
    assert ended.returncode != 0
    assert f"port {port} is taken; name another: make mlflow-ui MLFLOW_PORT=" in ended.stderr
