"""A store that is an SQLite file is asked with one read; a hand-made one has MLflow's three tables."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from urllib.parse import quote

import pytest

from app.errors import ModelNotFound, RegistryUnreachable
from app.model_version import ModelVersion
from app.registry.query import RegistryQuery
from app.registry.sqlite import ask_sqlite

TABLES = """
CREATE TABLE registered_models (name TEXT);
CREATE TABLE registered_model_aliases (name TEXT, alias TEXT, version INTEGER);
CREATE TABLE model_versions (name TEXT, version INTEGER, run_id TEXT, status TEXT, source TEXT, storage_location TEXT,
                             current_stage TEXT);
INSERT INTO registered_models VALUES ('flight-delay'), ('other');
INSERT INTO registered_model_aliases VALUES
    ('flight-delay', 'champion', 2), ('flight-delay', 'old', 1), ('other', 'x', 9);
INSERT INTO model_versions VALUES
    ('flight-delay', 1, 'r1', 'READY', 'models:/m-1', '/store/m-1', 'None'),
    ('flight-delay', 2, 'r2', 'READY', '/store/m-2', NULL, 'None'),
    ('flight-delay', 3, NULL, 'PENDING_REGISTRATION', '/store/m-3', NULL, 'None'),
    ('flight-delay', 4, 'REDACTED-RUN-ID', 'READY', 'REDACTED-SOURCE-PATH', '/store/m-4', 'Deleted_Internal'),
    ('flight-delay', 10, NULL, 'READY', '/store/m-10', NULL, 'None');
"""


@pytest.fixture
def store(tmp_path: Path) -> Path:
    """A store's file."""
    return make_store(tmp_path / "mlflow.db")


def make_store(path: Path) -> Path:
    """Write a store."""
    with closing(sqlite3.connect(path)) as database:
        database.executescript(TABLES)
    return path


def ask(
    store: Path, *, alias: str | None = None, version: str | None = None, name: str = "flight-delay"
) -> ModelVersion:
    """Ask a store by its absolute path."""
    return ask_sqlite(RegistryQuery(name, alias, version), f"sqlite:///{quote(str(store))}")


def test_an_alias_is_the_version_it_points_to(store: Path) -> None:
    """Version, run and the folder of the files, in one read."""
    assert ask(store, alias="champion") == ModelVersion(
        "flight-delay", "2", "champion", "r2", "/store/m-2", is_immutable=True
    )


@pytest.mark.parametrize(("asked", "version"), [("1", "1"), ("10", "10"), ("0010", "10")])
def test_a_version_is_found_by_its_number(store: Path, asked: str, version: str) -> None:
    """As a number, not as a text."""
    found = ask(store, version=asked)
    assert (found.version, found.alias) == (version, None)


def test_where_the_files_lie_comes_before_what_was_registered(store: Path) -> None:
    """MLflow 3 registers `models:/m-…` and keeps the folder beside it."""
    assert ask(store, version="1").source == "/store/m-1"


def test_an_unknown_model_is_told_with_those_that_are_there(store: Path) -> None:
    """Most are misspelt, or another store was meant."""
    with pytest.raises(ModelNotFound, match=r"no registered model 'flihgt'; it has 'flight-delay', 'other'"):
        ask(store, name="flihgt", alias="champion")


def test_an_empty_registry_says_so(store: Path) -> None:
    """Nothing has been trained yet."""
    with closing(sqlite3.connect(store)) as database:
        database.execute("DELETE FROM registered_models")
        database.commit()
    with pytest.raises(ModelNotFound, match=r"it is empty.*make train"):
        ask(store, name="x", alias="champion")


def test_an_unknown_alias_is_told_with_those_that_are_there(store: Path) -> None:
    """Only the model's own."""
    with pytest.raises(ModelNotFound, match=r"no alias 'challenger' \(its aliases: 'champion', 'old'\)"):
        ask(store, alias="challenger")


@pytest.mark.parametrize("version", ["5", "99999999999999999999"])
def test_an_unknown_version_is_told_with_those_that_are_there(store: Path, version: str) -> None:
    """The newest first; also for one that no database could count to."""
    with pytest.raises(ModelNotFound, match=rf"has no version {version} \(its versions: 10, 3, 2, 1\)\. Name another"):
        ask(store, version=version)


def test_of_a_long_list_the_first_are_told(store: Path) -> None:
    """A line of a log is no catalogue."""
    with closing(sqlite3.connect(store)) as database:
        database.executemany("INSERT INTO registered_models VALUES (?)", [(f"m{number:04}",) for number in range(5000)])
        database.commit()
    with pytest.raises(ModelNotFound, match=r"it has 'flight-delay', 'm0000', ('m\d{4}', ){8}…\."):
        ask(store, name="x", alias="champion")


def test_a_deleted_version_is_not_there(store: Path) -> None:
    """MLflow keeps its row, with the fields blacked out."""
    with pytest.raises(ModelNotFound, match="has no version 4"):
        ask(store, version="4")


def test_a_version_that_is_still_being_registered_is_not_served(store: Path) -> None:
    """Its files may not be whole."""
    with pytest.raises(ModelNotFound, match="status is PENDING_REGISTRATION"):
        ask(store, version="3")


@pytest.mark.parametrize("name", ["x' OR '1'='1", "%", "flight-delay\0"])
def test_a_name_is_a_value_and_never_a_part_of_the_question(store: Path, name: str) -> None:
    """Whatever stands in the URI."""
    with pytest.raises(ModelNotFound):
        ask(store, name=name, alias="champion")


def test_without_a_store_the_text_says_how_to_make_one(tmp_path: Path) -> None:
    """The first start on a fresh machine; asking makes no empty file that would confuse the next."""
    with pytest.raises(ModelNotFound, match="make train"):
        ask(tmp_path / "mlflow.db", alias="champion")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("content", [b"hello" * 1000, b""], ids=["text", "empty"])
def test_a_file_of_something_else_is_no_store(tmp_path: Path, content: bytes) -> None:
    """It is named, with SQLite's reason."""
    (tmp_path / "mlflow.db").write_bytes(content)
    with pytest.raises(RegistryUnreachable, match=r"mlflow\.db cannot be read as an MLflow store"):
        ask(tmp_path / "mlflow.db", alias="champion")


@contextmanager
def locked(store: Path) -> Iterator[None]:
    """Hold a store as a writer does."""
    with closing(sqlite3.connect(store, isolation_level=None)) as writer:
        writer.execute("BEGIN EXCLUSIVE")
        yield


def test_a_locked_store_is_unreachable_in_the_end(store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A writer that hangs does not hang the service."""
    monkeypatch.setattr("app.registry.sqlite._TIMEOUT_S", 0.05)
    with locked(store), pytest.raises(RegistryUnreachable, match="locked"):
        ask(store, alias="champion")


@pytest.mark.parametrize("name", ["a b", "100%", "a%20b", "a#b", "a?b", "Größe", "it's"])
def test_a_store_may_lie_in_any_folder(tmp_path: Path, name: str) -> None:
    """The clone's folder is called as its owner likes."""
    folder = tmp_path / name
    folder.mkdir()
    assert ask(make_store(folder / "mlflow.db"), alias="champion").version == "2"


def test_a_path_is_read_as_sqlalchemy_reads_it(store: Path) -> None:
    """MLflow itself opens the same file; a `#` may stand in it as it is."""
    folder = store.parent / "a#b"
    folder.mkdir()
    make_store(folder / "mlflow.db")
    assert ask_sqlite(RegistryQuery("flight-delay", "champion", None), f"sqlite:///{folder}/mlflow.db").version == "2"


def test_a_relative_path_is_relative(store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`sqlite:///x` is in the working directory, by SQLAlchemy's rule, and its query is no part of the name."""
    monkeypatch.chdir(store.parent)
    query = RegistryQuery("flight-delay", "champion", None)
    assert ask_sqlite(query, "sqlite:///mlflow.db").version == "2"
    assert ask_sqlite(query, "sqlite:///mlflow.db?timeout=5").version == "2"


def test_reading_leaves_the_store_as_it_was(store: Path) -> None:
    """Not a byte, and no journal beside it: it may be mounted read-only."""
    before = store.read_bytes()
    ask(store, alias="champion")
    assert store.read_bytes() == before
    assert list(store.parent.iterdir()) == [store]
