"""Lines arrive whole and unmixed, whoever writes them, on files and on pipes."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import BinaryIO

import pytest

from app.line_sink import LineSink, LinesLost
from app.rotating_file import RotatingFile


@pytest.fixture
def pipe() -> Iterator[tuple[BinaryIO, LineSink]]:
    """Where to read, and a sink on a pipe, which the test closes."""
    reading, writing = os.pipe()
    with os.fdopen(reading, "rb") as reader:
        yield reader, LineSink(writing)


def test_a_file_is_appended_to(tmp_path: Path) -> None:
    """A restart keeps what was there."""
    path = tmp_path / "payload.log"
    path.write_text("before\n")
    sink = RotatingFile(path, 1 << 20, 1)
    sink.write("after\nGröße\n".encode())
    sink.close()
    assert path.read_text(encoding="utf-8") == "before\nafter\nGröße\n"


@pytest.mark.parametrize("place", ["/", "/no/such/folder/payload.log", os.devnull + "/x"])
def test_a_file_that_cannot_be_opened_is_told_at_once(place: str) -> None:
    """At the start, not with the first request."""
    with pytest.raises(OSError, match=r"Errno"):
        RotatingFile(Path(place), 1 << 20, 1)


@pytest.mark.parametrize("is_blocking", [True, False])
def test_lines_of_several_threads_do_not_mix_on_a_pipe(pipe: tuple[BinaryIO, LineSink], is_blocking: bool) -> None:
    """Writes longer than the pipe's buffer are cut by the system, also where it was made non-blocking."""
    reader, sink = pipe
    os.set_blocking(sink._descriptor, is_blocking)
    together = threading.Barrier(4, timeout=20)

    def write(letter: str) -> None:
        for _ in range(20):
            together.wait()
            sink.write((letter * 10_000 + "\n").encode() * 20)

    with ThreadPoolExecutor(5) as threads:
        writers = [threads.submit(write, letter) for letter in "abcd"]
        reading = threads.submit(reader.read)
        try:
            for writer in writers:
                writer.result(timeout=60)
        finally:
            sink.close()  # or the reader would wait for ever behind a writer that failed
        text = reading.result(timeout=60).decode()
    assert {(len(line), len(set(line))) for line in text.splitlines()} == {(10_000, 1)}
    assert text.count("\n") == 4 * 20 * 20


def test_a_reader_that_is_gone_is_an_error(pipe: tuple[BinaryIO, LineSink]) -> None:
    """Which the caller counts."""
    reader, sink = pipe
    reader.close()
    with pytest.raises(LinesLost, match="Broken pipe"):
        sink.write(b"a\n")
    sink.close()


@pytest.mark.parametrize(("room", "cut"), [(6, ""), (7, "e\n")])
def test_a_line_that_a_full_disk_cut_spoils_none_after_it(room: int, cut: str, tmp_path: Path) -> None:
    """The next line that has room begins on its own; all that came in between is lost, and said to be."""
    path = tmp_path / "log"
    sink = RotatingFile(path, 1 << 20, 1)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (room, hard))  # no file may grow beyond it
        sink.write(b"abc\n")
        for lines, n_lost in ((b"d\nefgh\nijk\n", 9), (b"lmn\nop\n", 7)):
            with pytest.raises(LinesLost, match="File too large") as lost:
                sink.write(lines)
            assert lost.value.lost == lines[-n_lost:]
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    sink.write(b"opq\n")
    sink.write(b"rst\n")
    sink.close()
    assert path.read_text() == f"abc\nd\n{cut}opq\nrst\n"


WRITER = """
import sys
from app.line_sink import LineSink
letter, lock = sys.argv[1], int(sys.argv[2])
sink = LineSink(1, lock)
print("ready", file=sys.stderr, flush=True)
sys.stdin.read()
for _ in range(100):
    sink.write((letter * 10_000 + "\\n").encode() * 20)
"""


def test_lines_of_several_processes_do_not_mix_on_a_pipe(pipe: tuple[BinaryIO, LineSink]) -> None:
    """Workers share standard output; a file's lock keeps lines that are written together together."""
    reader, sink = pipe
    waiting, start = os.pipe()
    with tempfile.TemporaryFile() as lock:
        writers = [
            subprocess.Popen(
                [sys.executable, "-c", WRITER, letter, str(lock.fileno())],
                stdin=waiting,
                stdout=sink._descriptor,
                stderr=subprocess.PIPE,
                pass_fds=[lock.fileno()],
                cwd=Path(__file__).parents[2],
            )
            for letter in "abc"
        ]
        sink.close()
        os.close(waiting)
        for writer in writers:
            assert writer.stderr is not None
            with writer.stderr as said:
                assert said.readline() == b"ready\n"
        os.close(start)
        lines = reader.read().splitlines()
        assert [writer.wait(20) for writer in writers] == [0, 0, 0]
    assert len(lines) == 3 * 100 * 20
    assert {line[:1] * 10_000 for line in lines} == set(lines)
    for at in range(0, len(lines), 20):
        assert len(set(lines[at : at + 20])) == 1
