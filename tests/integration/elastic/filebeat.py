"""A real Filebeat with the configuration that ships, on loopback, ended by the test."""

from __future__ import annotations

import re
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.integration.elastic.tools import FILEBEAT_PROGRAM
from tests.processes import PROJECT, clean_environment, run_process, wait_for_exit

FOLDER = PROJECT / "monitoring" / "filebeat"
_ENDS_WITHIN_S = 20


@contextmanager
def run_filebeat(
    configuration: str, home: Path, elasticsearch: str, **environment: str
) -> Iterator[subprocess.Popen[str]]:
    """
    Ship until the end of the block.

    Parameters
    ----------
    configuration : str
        The name of a file in ``monitoring/filebeat``.
    home : pathlib.Path
        Where it keeps what it has read: one that starts again there goes on there.
    elasticsearch : str
        A URL.
    """
    home.mkdir(exist_ok=True)
    text = (FOLDER / configuration).read_text(encoding="utf-8")
    quick, n_changed = re.subn("check_interval: 5s", "check_interval: 500ms", text)
    assert n_changed == 1
    file = home / configuration
    file.write_text(quick, encoding="utf-8")
    command = [str(FILEBEAT_PROGRAM), "-e", "--strict.perms=false", "--path.home", str(home), "-c", str(file)]
    given = clean_environment(home, ELASTICSEARCH_URL=elasticsearch, **environment)
    with run_process(command, given, home / "output", ends_within_s=_ENDS_WITHIN_S) as process:
        yield process


def kill(process: subprocess.Popen[str]) -> None:
    """End it so that it can keep nothing."""
    process.send_signal(signal.SIGKILL)
    wait_for_exit(process, _ENDS_WITHIN_S)


def describe(home: Path) -> str:
    """What it has said lately."""
    return (home / "output" / "stderr").read_text()[-4000:]
