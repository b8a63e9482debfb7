"""The service's image, run with nothing that it does not need."""

from __future__ import annotations

import json
import re
import time
from pathlib import Path

import numpy as np
import pytest
import xgboost

from app import __version__
from delivery.baked_model import let_all_read
from delivery.engine import Engine
from tests.boosters import ModelFolderBuilder, make_model, make_table, to_instances, train_booster
from tests.image.containers import Container, run_container, run_once
from tests.services import wait

pytestmark = pytest.mark.image

MOST_BYTES = 350_000_000
TEMPORARY = ("--tmpfs", "/tmp", "--tmpfs", "/var/cache/treeserve:mode=1777")  # noqa: S108  in the container
INSTANCE = {"carrier": "UA", "hour": 17, "temp": 39.0}


def mounted(folder: Path) -> tuple[str, ...]:
    """The options by which a container serves the model in a folder."""
    return ("--volume", f"{folder}:/model:ro", "--env", "TREESERVE_MODEL_URI=/model")


def test_the_image_is_small(engine: Engine, serving: str) -> None:
    """On a slim base; what each layer takes is in the output."""
    print(engine.run("history", "--format", "{{.Size}}\t{{.CreatedBy}}", serving, stdout=-1))
    assert engine.inspect(serving)["Size"] < MOST_BYTES


def test_it_serves_with_nothing_but_its_model(
    engine: Engine, serving: str, champion: ModelFolderBuilder, model_folder: Path
) -> None:
    """A read-only root, no capability, no network, 256 MB, one core, no shell, any user: XGBoost's predictions."""
    table = make_table(50)
    without_shell = [f"--volume=/dev/null:/usr/bin/{shell}:ro" for shell in ("dash", "bash")]
    options = (*mounted(model_folder), *TEMPORARY, *without_shell, "--user", "54321:0")
    with run_container(engine, serving, *options) as container:
        container.wait_until_ready()
        status, answer = container.ask("POST", "/predict", {"instances": to_instances(table)})
        assert status == 200
        expected = champion.booster.predict(xgboost.DMatrix(table, enable_categorical=True))
        assert answer["predictions"] == pytest.approx(expected.tolist(), rel=1e-6)
        assert container.ask("GET", "/model")[1]["evaluator"]["name"].startswith("kernel")
        assert container.is_healthy()
        assert container.run("sh", "-c", "true").returncode != 0  # the shell is really gone


def test_it_needs_no_place_to_write(engine: Engine, serving: str, model_folder: Path) -> None:
    """Not even for the cache, nor a /tmp."""
    with run_container(engine, serving, *mounted(model_folder)) as container:
        container.wait_until_ready()
        assert container.ask("POST", "/predict", {"instances": [INSTANCE]})[0] == 200


def test_it_ends_in_order(engine: Engine, serving: str, model_folder: Path) -> None:
    """As the first process, told once, after its grace: the status is 0, and the log says so."""
    options = (*mounted(model_folder), *TEMPORARY, "--env", "TREESERVE_SHUTDOWN_GRACE_S=2")
    with run_container(engine, serving, *options) as container:
        container.wait_until_ready()
        begun = time.monotonic()
        assert container.stop() == 0
        assert 2 <= time.monotonic() - begun < 15


def test_a_container_that_is_not_ready_is_not_healthy(engine: Engine, serving: str) -> None:
    """The check sees through a process that lives and has no model."""
    registry = ("--env", "MLFLOW_TRACKING_URI=http://127.0.0.1:9")
    with run_container(engine, serving, *registry, *TEMPORARY) as container:
        wait_until_alive(container)
        assert not container.is_healthy()
        assert container.state["Running"]


def test_without_a_registry_it_says_what_to_set(engine: Engine, serving: str) -> None:
    """The first thing that a new user sees."""
    with run_container(engine, serving) as container:
        engine.run("wait", container.name)
        assert container.state["ExitCode"] == 1
        assert "MLFLOW_TRACKING_URI is not set" in container.log()


def test_memory_that_runs_out_ends_a_child_and_not_the_service(
    engine: Engine, serving: str, model_folder: Path
) -> None:
    """Where preparing a model version takes more than there is, the process that does it goes, and that is told."""
    little = ("--memory", "64m", "--memory-swap", "64m")
    with run_container(engine, serving, *mounted(model_folder), *TEMPORARY, *little) as container:
        status, reason = ask_once_it_says(container, "status -9")
        assert status == 503
        assert "too little memory" in reason
        assert container.ask("GET", "/livez")[0] == 200
        assert container.state["Running"]


def test_a_model_version_larger_than_memory_is_refused_before_linux_kills_anything(
    engine: Engine, serving: str, tmp_path: Path
) -> None:
    """Which would be the whole container, where Kubernetes has it so; and the figure is told."""
    table = make_table(30_000)
    noise = np.random.default_rng(0).integers(0, 2, len(table))
    booster = train_booster(table, noise, {"max_depth": 14, "min_child_weight": 0, "nthread": 2}, rounds=400)
    folder = make_model(booster=booster, table=table[:100], card=None).write(tmp_path / "large")
    let_all_read(folder)
    tmp_path.chmod(0o755)
    enough = ("--memory", "1g", "--memory-swap", "1g")
    with run_container(engine, serving, *mounted(folder), *TEMPORARY, *enough) as container:
        container.wait_until_ready()
    little = ("--memory", "160m", "--memory-swap", "160m")
    with run_container(engine, serving, *mounted(folder), *TEMPORARY, *little) as container:
        status, reason = ask_once_it_says(container, "takes more memory")
        assert status == 503
        assert re.search(r"takes more memory than is left, \d+ MiB; raise the container's limit", reason)
        assert not container.state["OOMKilled"]


def ask_once_it_says(container: Container, words: str) -> tuple[int, str]:
    """Status and reason of a service that is not ready; asked from inside, it would have less memory until then."""
    for _ in wait(60, every_s=0.5):
        if words in container.log():
            break
    status, reason = container.ask("GET", "/readyz")
    return status, str(reason)


def wait_until_alive(container: Container) -> None:
    """Wait until the process listens."""
    for _ in wait(60, every_s=0.5):
        if container.ask("GET", "/livez")[0] == 200:
            return


def test_nothing_is_in_it_that_no_service_runs(engine: Engine, serving: str) -> None:
    """No compiler, no installer, no training, no secret of the build, and nothing that its user may change."""
    code = """
import importlib.util, json, os, shutil, sys
found = [name for name in ("gcc", "cc", "pip", "pip3", "curl", "git", "make") if shutil.which(name)]
modules = ("pip", "setuptools", "scipy", "sklearn", "pandas", "model", "tests")
found += [name for name in modules if importlib.util.find_spec(name)]
found += [path for path in ("/etc/pip.conf", "/etc/pip-ca.pem", "/build", "/package") if os.path.exists(path)]
for top in ("/opt", "/usr", "/etc", "/srv"):
    for folder, _, names in os.walk(top):
        found += [path for path in (folder, *(os.path.join(folder, name) for name in names))
                  if not os.path.islink(path) and os.access(path, os.W_OK)]
print(json.dumps([os.getuid(), found]))
"""
    assert json.loads(run_once(engine, serving, "python", "-c", code, options=()).stdout) == [10001, []]


def test_all_its_bytecode_is_there(engine: Engine, serving: str) -> None:
    """Its user could not write it, and would compile at every start."""
    code = """
import json, os, sys
from app.processes import hide_unneeded_libraries
hide_unneeded_libraries()
import app.main, app.serve, app.preparation.__main__, app.healthcheck, app.workers.worker, app.forest.xgboost_forest
sources = [m.__file__ for m in list(sys.modules.values()) if (getattr(m, "__file__", None) or "").endswith(".py")]
from importlib.util import cache_from_source
print(json.dumps([len(sources), [path for path in sources if not os.path.exists(cache_from_source(path))]]))
"""
    n_sources, missing = json.loads(run_once(engine, serving, "python", "-c", code).stdout)
    assert n_sources > 300
    assert missing == []


def test_its_labels_say_what_it_is_of(engine: Engine, serving: str) -> None:
    """Which commit, on which base."""
    labels = engine.inspect(serving)["Config"]["Labels"]
    prefix = "org.opencontainers.image."
    assert labels[f"{prefix}version"] == __version__
    assert re.fullmatch(r"[0-9a-f]{40}(-dirty)?", labels[f"{prefix}revision"])
    assert re.fullmatch(r"(sha256:)?[0-9a-f]{64}", labels[f"{prefix}base.digest"])
    assert labels[f"{prefix}licenses"] == "Apache-2.0"
