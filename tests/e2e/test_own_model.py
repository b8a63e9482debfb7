"""What `docs/training.md` tells somebody who brings a model of their own works: every command, in a fresh clone."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import time
from pathlib import Path

import pytest

from tests.e2e.test_readme import clone, environ, get, started  # noqa: F401  the first two are fixtures
from tests.processes import PROJECT, free_port
from tests.second_model.clone import CHANGES, NAME, apply_changes

pytestmark = [pytest.mark.slow, pytest.mark.example]

SECTION = re.findall(
    r"## Bring your own model\n(.*?)\n## ", (PROJECT / "docs" / "training.md").read_text(encoding="utf-8"), re.DOTALL
)[0]
COMMANDS = [block.strip() for block in re.findall(r"```bash\n(.*?)```", SECTION, re.DOTALL)]
COPY, TRAIN, SERVE, ASK, REPRO = COMMANDS
SOON_S = 120


def test_the_document_says_what_is_changed_here() -> None:
    """The two lines of names.py, and what of params.yaml."""
    for changes in CHANGES.values():
        for after in changes.values():
            assert after in SECTION


def run(command: str, clone: Path, environ: dict[str, str], exit_code: int = 0) -> str:  # noqa: F811
    """What a command says; it must end so."""
    ended = subprocess.run(
        ["bash", "-c", command], cwd=clone, env=environ, capture_output=True, text=True, timeout=600, check=False
    )
    assert ended.returncode == exit_code, ended.stdout + ended.stderr
    return ended.stdout


def test_a_second_model_is_served_beside_the_first(clone: Path, environ: dict[str, str]) -> None:  # noqa: F811
    """From a copy of the template to an answer; nothing outside `model/` is touched."""
    run("make train ARGS='--rounds 3'", clone, environ)  # the first, which is there before
    git = "git -c user.name=a -c user.email=a@b"
    run(f"git init --quiet && git add . && {git} commit --quiet --message first", clone, environ)
    begun = time.monotonic()
    run(COPY, clone, environ)
    shutil.copy(PROJECT / "tests" / "second_model" / "weather" / "project.py", clone / "model" / "weather")
    apply_changes(clone)
    assert f"{NAME} version 1, alias champion" in run(TRAIN, clone, environ)
    port = str(free_port())
    second, first = (line.replace("8081", port) for line in SERVE.splitlines())
    with (
        started(second, clone, environ, f"http://127.0.0.1:{port}/readyz") as (own, _),
        started(first, clone, environ, f"http://127.0.0.1:{environ['TREESERVE_PORT']}/readyz") as (other, _),
    ):
        assert (own["name"], other["name"]) == (NAME, "flight-delay")
        (answer,) = json.loads(run(ASK.replace("8081", port), clone, environ))["predictions"]
        assert sum(answer) == pytest.approx(1, abs=1e-6)
        about = get(f"http://127.0.0.1:{port}/model")
        assert about["prediction"]["classes"][2] == "rain"
    print(f"from the copied template to both answering after {time.monotonic() - begun:.0f} s")
    assert f"{NAME} version 1 was trained with the same parameters on the same data" in run(REPRO, clone, environ)
    changed = run("git status --porcelain", clone, environ).splitlines()
    assert {line[3:].split("/")[0] for line in changed} == {"model"}
    assert "model/weather/" in {line[3:] for line in changed}


def test_a_further_version_of_it_is_judged(clone: Path, environ: dict[str, str]) -> None:  # noqa: F811
    """By the metric of its task, and by what its project expects of a class."""
    run("make train ARGS='--no-alias --rounds 2'", clone, environ)
    told = run(".venv/bin/python -m model gate 2", clone, environ, exit_code=3)
    (line,) = [line for line in told.splitlines() if "better, and not by chance" in line]
    assert "log_loss" in line
    assert "predictions in their range" in told
    assert "class 3 falls with temp_max" in told
