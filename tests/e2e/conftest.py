"""What tests of whole processes share: a model, and servers that end with the test."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from itertools import count
from pathlib import Path

import pytest

from tests.boosters import ModelFolderBuilder, make_model
from tests.e2e.servers import Server, Start
from tests.processes import clean_environment, free_port, run_process

TREESERVE = str(Path(sys.executable).with_name("treeserve"))


@pytest.fixture(scope="module")
def champion() -> ModelFolderBuilder:
    """A category, an integer and two numbers."""
    return make_model()


@pytest.fixture(scope="module")
def model_folder(champion: ModelFolderBuilder, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The champion's files."""
    return champion.write(tmp_path_factory.mktemp("champion") / "model")


@pytest.fixture
def start(model_folder: Path, tmp_path: Path) -> Iterator[Start]:
    """Starts servers, which end with the test at the latest."""
    numbers = count()
    with ExitStack() as running:

        def run(stdout: int | None = None, /, prefix: Sequence[str] = (), **variables: str) -> Server:
            given = {
                "TREESERVE_MODEL_URI": str(model_folder),
                "TREESERVE_CACHE_DIR": str(tmp_path / "cache"),
                "TREESERVE_PORT": str(free_port()),
                "MLFLOW_TRACKING_URI": f"sqlite:///{tmp_path / 'none.db'}",
                **variables,
            }
            environment = clean_environment(tmp_path, **given)
            folder = tmp_path / f"output-{next(numbers)}"
            process = running.enter_context(
                run_process([*prefix, TREESERVE, "serve"], environment, folder, stdout=stdout)
            )
            return Server(process, given["TREESERVE_PORT"], folder)

        yield run
