"""
One retraining at a time, wherever it runs: a lock in the registry.

What MLflow does at once or not at all is to create a registered model of a name that nobody has; tags and aliases are
written over. So a lock is a registered model ``NAME.retraining.N``, made with its owner and its expiry, and whoever
makes the next N has it: after a release, or after the expiry of one whose owner was killed. Two who see the same lock
expire both try to make the same next one, and one of them fails. A greater N than one's own says that it is lost.
"""

from __future__ import annotations

import os
import platform
import threading
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from typing import Any

from model.errors import RegistryUnusable, RetrainingRuns
from model.registry.registration import Experiment
from model.registry.versions import name_person

_PATIENCE = timedelta(minutes=5)  # after which it is taken from an owner who says nothing more
_OWNER, _EXPIRY, _RELEASED, _TOKEN = "owner", "expires_at", "released", "token"


class Lock:
    """The lock, had by this process."""

    def __init__(self, experiment: Experiment, name: str, number: int, patience: timedelta) -> None:
        self._experiment = experiment
        self._patience = patience
        self._name = name
        self._number = number

    def check(self) -> None:
        """
        Make sure that it is had still, before something is changed.

        Raises
        ------
        RetrainingRuns
            If it was taken, because this process was away for too long.
        """
        newest, tags = _find_newest(self._experiment, self._name)
        if newest != self._number:
            raise RetrainingRuns(
                f"another retraining, of {tags.get(_OWNER)}, has taken the lock, for this one was away for minutes; "
                "nothing more was changed"
            )

    def renew(self) -> None:
        """Move the expiry on."""
        self._write(_EXPIRY, _after(self._patience))

    def release(self) -> None:
        """Let the next one have it, and clear away the locks before this one."""
        self._write(_RELEASED, "yes")
        with self._experiment.asking() as client:
            for model in _find(client, self._name):
                if _number_of(model.name) < self._number:
                    client.delete_registered_model(model.name)

    def _write(self, tag: str, value: str) -> None:
        with self._experiment.asking() as client:
            client.set_registered_model_tag(_name_of(self._name, self._number), tag, value)


@contextmanager
def locked(experiment: Experiment, name: str, patience: timedelta = _PATIENCE) -> Iterator[Lock]:
    """
    Have the lock of a registered model's retraining, and keep it for as long as this process lives.

    Parameters
    ----------
    experiment : Experiment
    name : str
        Of the registered model.
    patience : timedelta
        How long after the last sign of life others may take it.

    Raises
    ------
    RetrainingRuns
        If another has it.
    """
    lock = _take(experiment, name, patience)
    ended = threading.Event()

    def keep() -> None:
        while not ended.wait(patience.total_seconds() / 5):
            with suppress(RegistryUnusable):  # an outage that is over before the expiry does no harm
                lock.renew()

    keeper = threading.Thread(target=keep, name="lock-keeper", daemon=True)
    keeper.start()
    try:
        yield lock
    finally:
        ended.set()
        keeper.join()
        with suppress(RegistryUnusable):  # it expires
            lock.release()


def _take(experiment: Experiment, name: str, patience: timedelta) -> Lock:
    newest, tags = _find_newest(experiment, name)
    if newest and _RELEASED not in tags and datetime.now(UTC) < datetime.fromisoformat(tags[_EXPIRY]):
        raise _taken(tags)
    owner = f"{name_person()} on {platform.node()}, process {os.getpid()}"
    told = {_OWNER: owner, _EXPIRY: _after(patience), _TOKEN: uuid.uuid4().hex}
    if not experiment.create_model(_name_of(name, newest + 1), told):
        number, tags = _find_newest(experiment, name)
        # It may be this one's own, whose answer was lost: MLflow's client asks again then.
        if (number, tags.get(_TOKEN)) != (newest + 1, told[_TOKEN]):
            raise _taken(tags)
    return Lock(experiment, name, newest + 1, patience)


def _taken(tags: dict[str, str]) -> RetrainingRuns:
    return RetrainingRuns(
        f"another retraining is at work: {tags.get(_OWNER)}. If it was killed, its lock can be taken from "
        f"{tags.get(_EXPIRY)} on"
    )


def _find_newest(experiment: Experiment, name: str) -> tuple[int, dict[str, str]]:
    """The greatest number that a lock has, 0 where there is none, and what is said of it."""
    with experiment.asking() as client:
        found = [(_number_of(model.name), dict(model.tags)) for model in _find(client, name)]
    return max(found, key=lambda one: one[0], default=(0, {}))


def _find(client: Any, name: str) -> list[Any]:
    prefix = _name_of(name, "")
    found, token = [], None
    while True:
        page = client.search_registered_models(f"name LIKE '{prefix}%'", page_token=token)
        found += [model for model in page if model.name.removeprefix(prefix).isdecimal()]
        token = page.token
        if not token:
            return found


def _name_of(name: str, number: int | str) -> str:
    return f"{name}.retraining.{number}"


def _after(patience: timedelta) -> str:
    return (datetime.now(UTC) + patience).isoformat(timespec="seconds")


def _number_of(name: str) -> int:
    return int(name.rpartition(".")[2])
