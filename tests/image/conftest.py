"""The images, built once from the checkout as it is; and where they build on, without a registry of images."""

from __future__ import annotations

from pathlib import Path

import pytest

from delivery.baked_model import let_all_read
from delivery.engine import Engine, find_engine
from delivery.errors import DeliveryFailed
from delivery.image import Build, build_image
from tests.boosters import ModelFolderBuilder, make_model
from tests.image.bases import BASE_IMAGE, BUILD_IMAGE, can_make_bases, make_bases


@pytest.fixture(scope="session")
def engine() -> Engine:
    """Docker or Podman."""
    try:
        return find_engine()
    except DeliveryFailed as error:
        pytest.skip(str(error))


@pytest.fixture(scope="session")
def bases(engine: Engine, tmp_path_factory: pytest.TempPathFactory) -> tuple[str | None, str | None]:
    """The images to build on: stand-ins where they can be made, or else the Dockerfile's own, from their registry."""
    if not can_make_bases():
        return None, None
    make_bases(engine, tmp_path_factory.mktemp("bases"))
    return BASE_IMAGE, BUILD_IMAGE


@pytest.fixture(scope="session")
def serving(engine: Engine, bases: tuple[str | None, str | None]) -> str:
    """The service's image."""
    return build_image(Build("serving", "cpu", *bases), engine)


@pytest.fixture(scope="session")
def training(engine: Engine, bases: tuple[str | None, str | None]) -> str:
    """The training side's image."""
    return build_image(Build("training", "cpu", *bases), engine)


@pytest.fixture(scope="session")
def champion() -> ModelFolderBuilder:
    """A category, an integer and two numbers."""
    return make_model()


@pytest.fixture(scope="session")
def model_folder(champion: ModelFolderBuilder, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The champion's files, for any user to read."""
    folder = champion.write(tmp_path_factory.mktemp("champion") / "model")
    let_all_read(folder)
    for parent in list(folder.parents)[:2]:
        parent.chmod(0o755)
    return folder
