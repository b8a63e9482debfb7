"""What tests of whole processes share: a model, and servers that end with the test."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
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
    with servers(model_folder, tmp_path) as run:
        yield run


@contextmanager
def servers(model_folder: Path, folder: Path) -> Iterator[Start]:
    """Start servers, of one model unless another is named, in folders of their own; they end with the block."""
    numbers = count()
    with ExitStack() as running:

        def run(stdout: int | None = None, /, prefix: Sequence[str] = (), **variables: str) -> Server:
            given = {
                "TREESERVE_MODEL_URI": str(model_folder),
                "TREESERVE_CACHE_DIR": str(folder / "cache"),
                "TREESERVE_PORT": str(free_port()),
                "MLFLOW_TRACKING_URI": f"sqlite:///{folder / 'none.db'}",
                **variables,
            }
            environment = clean_environment(folder, **given)
            output = folder / f"output-{next(numbers)}"
            process = running.enter_context(
                run_process([*prefix, TREESERVE, "serve"], environment, output, stdout=stdout)
            )
            return Server(process, given["TREESERVE_PORT"], output)

        yield run
