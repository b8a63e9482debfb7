"""A log file that has its size is renamed and begun anew; whoever writes, no line is lost or cut."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections import Counter
from pathlib import Path

import pytest

from app.rotating_file import RotatingFile
from tests.processes import PROJECT


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where the file is."""
    return tmp_path / "log"


def contents(path: Path) -> dict[str, str]:
    """What its folder has."""
    return {file.name: file.read_text() for file in path.parent.iterdir()}


def test_a_file_that_has_its_size_is_renamed(path: Path) -> None:
    """The oldest goes; a line that is larger by itself is written all the same, and alone."""
    file = RotatingFile(path, 10, 2)
    for line in ("aaaa\n", "bbbb\n", "cccc\n", "d" * 20 + "\n", "e\n"):
        file.write(line.encode())
    assert contents(path) == {"log": "e\n", "log.1": "d" * 20 + "\n", "log.2": "cccc\n"}
    file.close()


def test_it_goes_on_where_it_ended(path: Path) -> None:
    """A process that starts again appends, and counts what is there."""
    path.write_text("aaaa\n")
    file = RotatingFile(path, 10, 2)
    file.write(b"bbbb\n")
    file.write(b"c\n")
    file.close()
    assert contents(path) == {"log": "c\n", "log.1": "aaaa\nbbbb\n"}


def test_a_new_file_is_not_taken_for_the_one_that_was_removed(path: Path) -> None:
    """Shippers know a file by its inode, which file systems give out again at once."""
    file = RotatingFile(path, 10, 2)
    oldest = path.with_name("log.2")
    for number in range(8):
        removed = oldest.stat().st_ino if oldest.exists() else None
        file.write(f"{number:09d}\n".encode())
        assert path.stat().st_ino != removed
    file.close()


@pytest.mark.parametrize("is_removed", [True, False])
def test_what_others_rename_or_remove_is_begun_anew(path: Path, *, is_removed: bool) -> None:
    """As logrotate does it, and people who make room."""
    file = RotatingFile(path, 1000, 2)
    file.write(b"a\n")
    if is_removed:
        path.unlink()
    else:
        path.rename(path.with_name("log-2026"))
    file.write(b"b\n")
    file.close()
    assert contents(path) == {"log": "b\n"} | ({} if is_removed else {"log-2026": "a\n"})


def test_where_renaming_fails_it_grows(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Better than a loss."""
    file = RotatingFile(path, 10, 2)

    def refuse(*_: object) -> None:
        raise PermissionError(13, "no")

    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", refuse)
        for line in (b"aaaaaaaa\n", b"bbbbbbbb\n"):
            file.write(line)
        assert contents(path) == {"log": "aaaaaaaa\nbbbbbbbb\n"}
    file.write(b"c\n")
    assert contents(path) == {"log": "c\n", "log.1": "aaaaaaaa\nbbbbbbbb\n"}
    file.close()


def test_what_is_no_regular_file_is_left_as_it_is(path: Path) -> None:
    """A named pipe has no size, and a reader."""
    os.mkfifo(path)
    reader = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    file = RotatingFile(path, 10, 2)
    for _ in range(3):
        file.write(b"aaaaaaaa\n")
    assert os.read(reader, 1000) == b"aaaaaaaa\n" * 3
    assert [one.name for one in path.parent.iterdir()] == ["log"]
    file.close()
    os.close(reader)


WRITER = """
import sys
from pathlib import Path
from app.rotating_file import RotatingFile
file = RotatingFile(Path(sys.argv[1]), 20_000, 1000)
print("ready", flush=True)
sys.stdin.read()
for number in range(2000):
    file.write(f"{sys.argv[2]} {number} {'x' * (number % 200)}\\n".encode())
"""


def test_processes_and_threads_share_one(path: Path) -> None:
    """Each line stands once, whole, and a process's lines in their order from file to file."""
    environment = {**os.environ, "PYTHONPATH": str(PROJECT)}
    writers = [
        subprocess.Popen(
            [sys.executable, "-c", WRITER, str(path), name],
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for name in "abc"
    ]
    for writer in writers:
        assert writer.stdout is not None
        assert writer.stdout.readline() == "ready\n"
    own = RotatingFile(path, 20_000, 1000)

    def write(name: str) -> None:
        for number in range(2000):
            own.write(f"{name} {number} {'x' * (number % 200)}\n".encode())

    threads = [threading.Thread(target=write, args=(name,)) for name in "de"]
    for thread in threads:
        thread.start()
    for writer in writers:
        assert writer.stdin is not None
        writer.stdin.close()
    for thread in threads:
        thread.join(30)
    for writer in writers:
        assert writer.wait(30) == 0
        assert writer.stdout is not None
        writer.stdout.close()
    own.close()
    files = sorted(path.parent.glob("log.*"), key=lambda file: -int(file.suffix[1:]))
    lines = [line.split(" ") for file in [*files, path] for line in file.read_text().splitlines()]
    assert len(files) > 10
    assert Counter(name for name, _, _ in lines) == dict.fromkeys("abcde", 2000)
    assert all(text == "x" * (int(number) % 200) for _, number, text in lines)
    for name in "abcde":
        assert [int(number) for other, number, _ in lines if other == name] == list(range(2000))
