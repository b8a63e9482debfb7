"""An S3 of one test session: moto's server, which keeps objects in memory and takes any credentials."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx2

from tests.processes import clean_environment, free_port, run_process
from tests.services import wait

# moto takes them whatever they are; a client that has none signs nothing, and says so before it asks.
CREDENTIALS = {"AWS_ACCESS_KEY_ID": "a-key", "AWS_SECRET_ACCESS_KEY": "its-secret", "AWS_DEFAULT_REGION": "us-east-1"}


@dataclass(frozen=True)
class ObjectStore:
    """A bucket of it."""

    url: str
    bucket: str
    requests: Path  # a line each, with the path and the query

    @property
    def variables(self) -> dict[str, str]:
        """The environment of who may use it."""
        return {**CREDENTIALS, "MLFLOW_S3_ENDPOINT_URL": self.url}

    def keys(self, prefix: str = "") -> list[str]:
        """The names of the objects in the bucket."""
        answer = httpx2.get(f"{self.url}/{self.bucket}?list-type=2&prefix={prefix}", trust_env=False)
        assert answer.status_code == 200, answer.text
        return re.findall(r"<Key>([^<]+)</Key>", answer.text)


@contextmanager
def run_object_store(program: Path, folder: Path) -> Iterator[ObjectStore]:
    """Run moto's server, and make the bucket."""
    port = free_port()
    store = ObjectStore(f"http://127.0.0.1:{port}", "models", folder / "moto" / "stderr")
    command = [str(program), "--host", "127.0.0.1", "--port", str(port)]
    with run_process(command, clean_environment(folder), folder / "moto") as process:
        for _ in wait(60, every_s=0.1):
            assert process.poll() is None, (folder / "moto" / "stderr").read_text()
            try:
                if httpx2.put(f"{store.url}/{store.bucket}", trust_env=False).status_code == 200:
                    break
            except httpx2.TransportError:
                continue
        yield store
