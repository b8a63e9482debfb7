"""A real PostgreSQL of one test session: its own cluster, with a password, on loopback and a free port."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.processes import clean_environment, free_port, run_process
from tests.services import wait

_PLACES = "/usr/lib/postgresql"  # Debian has a folder there for each major version, and none on the PATH
_NAME = "treeserve"
_STARTS_WITHIN_S = 60


@dataclass(frozen=True)
class Postgres:
    """A server that answers."""

    programs: Path
    port: int
    password: str

    def uri(self, database: str) -> str:
        """How SQLAlchemy names a database; the password is not in it, but in `PGPASSWORD`."""
        return f"postgresql://{_NAME}@127.0.0.1:{self.port}/{database}"

    def ask(self, database: str, query: str) -> list[str]:
        """The answer's rows, each as psql writes it."""
        command = [str(self.programs / "psql"), "-XAtq", "-v", "ON_ERROR_STOP=1", "-c", query, self.uri(database)]
        environment = os.environ | {"PGPASSWORD": self.password}
        ended = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=30)
        assert ended.returncode == 0, ended.stderr
        return ended.stdout.splitlines()


def find_programs() -> Path | None:
    """The folder of the newest PostgreSQL that is installed, or None."""
    found = [path.parent for path in Path(_PLACES).glob("*/bin/initdb")]
    if not found and (initdb := shutil.which("initdb")):
        found = [Path(initdb).resolve().parent]
    return max(found, key=lambda path: path.parent.name.zfill(3), default=None)


@contextmanager
def run_postgres(programs: Path, password: str) -> Iterator[Postgres]:
    """Make a cluster, run it, and end it with its data; PostgreSQL refuses root, so as root it runs as nobody."""
    folder = Path(tempfile.mkdtemp(prefix="treeserve-postgres-"))  # pytest's own folders are closed to others
    try:
        as_user = _leave_root(folder)
        (folder / "password").write_text(password)
        environment = clean_environment(folder, LC_ALL="C.UTF-8")
        initdb = [*as_user, str(programs / "initdb"), "--pgdata", str(folder / "data"), "--username", _NAME]
        options = ["--auth", "scram-sha-256", "--pwfile", str(folder / "password"), "--no-sync"]
        made = subprocess.run(
            [*initdb, *options], env=environment, cwd=folder, capture_output=True, text=True, check=False, timeout=60
        )
        assert made.returncode == 0, made.stderr
        port = free_port()
        settings = {"port": port, "listen_addresses": "127.0.0.1", "unix_socket_directories": folder, "fsync": "off"}
        command = [*as_user, str(programs / "postgres"), "-D", str(folder / "data")]
        command += [f"--{name}={value}" for name, value in settings.items()]
        with run_process(command, environment, folder / "output") as process:
            server = Postgres(programs, port, password)
            for _ in wait(_STARTS_WITHIN_S, every_s=0.1):
                assert process.poll() is None, (folder / "output" / "stderr").read_text()
                try:
                    server.ask("postgres", "SELECT 1")
                    break
                except AssertionError:
                    continue
            yield server
    finally:
        shutil.rmtree(folder)


def _leave_root(folder: Path) -> list[str]:
    """What stands before a command so that it is not root's, who may keep the folder otherwise."""
    if os.geteuid() != 0:
        return []
    user = pwd.getpwnam("nobody")
    os.chown(folder, user.pw_uid, user.pw_gid)
    return ["setpriv", f"--reuid={user.pw_uid}", f"--regid={user.pw_gid}", "--clear-groups"]
