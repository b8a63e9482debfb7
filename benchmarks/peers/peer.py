"""What is to be known of a server in order to run it beside others."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from benchmarks.peers.environments import FOLDER, Environment
from benchmarks.peers.forms import Form
from benchmarks.peers.numeric_model import NumericModel

MODEL_NAME = "flight-delay"


@dataclass(frozen=True)
class Site:
    """
    Where one server runs.

    Attributes
    ----------
    name : str
        Of the server; its files are in ``benchmarks/peers/NAME``.
    environment : Environment
    model : NumericModel
    home : pathlib.Path
        What outlasts a run, such as a cache.
    port : int
        Where to listen on loopback.
    """

    name: str
    environment: Environment
    model: NumericModel
    home: Path
    port: int

    def program(self, name: str) -> str:
        """A command of the environment."""
        return str(self.environment.bin / name)

    def file(self, name: str) -> str:
        """A file beside the server's lock file."""
        return str(FOLDER / self.name / name)


def _nothing(_site: Site) -> Mapping[str, str]:
    return {}


@dataclass(frozen=True)
class Peer:
    """
    A server, as its own documentation tells a user to run it: one process, one thread for XGBoost, no access log.

    Attributes
    ----------
    name : str
        On the command line, and of its folder.
    title : str
        In the tables; the version follows it.
    distribution : str or None
        The one whose version is told; None for the service itself.
    command : callable of Site to list of str
    path : str
        Where it takes instances.
    form : Form
    variables : callable of Site to mapping of str to str
        Of its environment, beside those that all have.
    prepare : callable of Site to list of str, or None
        A command that has to run before the server can start.
    detail : str
        What follows the version.
    is_ceiling : bool
        It predicts nothing.
    note : str
        What a reader has to know of it, or nothing.
    """

    name: str
    title: str
    distribution: str | None
    command: Callable[[Site], list[str]]
    path: str
    form: Form
    variables: Callable[[Site], Mapping[str, str]] = _nothing
    prepare: Callable[[Site], list[str]] | None = None
    detail: str = ""
    is_ceiling: bool = False
    note: str = ""
