"""
Model versions in the registry: who has which alias, what is said of a version, and who moved an alias, when and why.

Every move is a tag of its own of the registered model, written before the alias moves, so that none is ever
overwritten, and none is made that is not told. MLflow keeps aliases and tags, and has no transaction over both.
"""

from __future__ import annotations

import getpass
import json
import os
from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any

from model.errors import PromotionRefused
from model.names import CHALLENGER, CHAMPION
from model.registry.registration import Experiment

_MOVE = "move."
MOST_CHARACTERS = 4_900  # of a tag or a description, of which MLflow's databases keep 5,000
_MOST_OF_WHY = 2_000  # of a move's reason: with all else that is told of it, it has to fit in a tag of 5,000


@dataclass(frozen=True)
class Move:
    """
    An alias was moved.

    Attributes
    ----------
    at : str
        When, ISO 8601 in UTC.
    alias : str
    before, after : str
        Which version had it and which one has it; empty for none.
    who, why : str
    kind : {"promote", "roll back", "set", "remove"}
    """

    at: str
    alias: str
    before: str
    after: str
    who: str
    why: str
    kind: str

    def __str__(self) -> str:
        """In a sentence."""
        before, after = (version or "none" for version in (self.before, self.after))
        return f"{self.at}: {self.kind} {self.alias}, version {before} to {after}, by {self.who}: {self.why}"


class Versions:
    """The versions of one registered model."""

    def __init__(self, experiment: Experiment, name: str) -> None:
        self.name = name
        self._experiment = experiment

    def find(self, alias: str) -> str | None:
        """The version that has an alias."""
        found = self._find_model()
        aliases = found.aliases if found else {}
        return str(aliases[alias]) if alias in aliases else None

    def asking(self) -> AbstractContextManager[Any]:
        """Hand out MLflow's client, as `Experiment.asking` does."""
        return self._experiment.asking()

    def named(self, version_or_alias: str) -> str:
        """
        The version that a person means, by its number or an alias.

        Raises
        ------
        PromotionRefused
            If there is no such version.
        """
        with self.asking() as client:
            known = {str(version.version) for version in client.search_model_versions(f"name = '{self.name}'")}
        if version_or_alias in known:
            return version_or_alias
        version = None if version_or_alias.isdecimal() else self.find(version_or_alias)
        if version is None:
            shown = ", ".join(sorted(known, key=int)) or "none"
            raise PromotionRefused(f"{self.name} has no version or alias {version_or_alias!r}; its versions: {shown}")
        return version

    def tags(self, version: str) -> dict[str, str]:
        """What is said of a version."""
        with self.asking() as client:
            return dict(client.get_model_version(self.name, version).tags)

    def run_of(self, version: str) -> Any:
        """MLflow's run that a version comes from."""
        with self.asking() as client:
            return client.get_run(client.get_model_version(self.name, version).run_id)

    def tag(self, version: str, tags: Mapping[str, str]) -> None:
        """Say something of a version, in place of what was said under the same names."""
        with self.asking() as client:
            for name, value in tags.items():
                client.set_model_version_tag(self.name, version, name, value[:MOST_CHARACTERS])

    def untag(self, version: str, tag: str) -> None:
        """Take back what was said of a version under a name, if anything was."""
        if tag in self.tags(version):
            with self.asking() as client:
                client.delete_model_version_tag(self.name, version, tag)

    def describe(self, version: str, description: str) -> None:
        """Give a version its description, in Markdown."""
        with self.asking() as client:
            client.update_model_version(self.name, version, description[:MOST_CHARACTERS])

    def moves(self) -> list[Move]:
        """Every move of an alias, the last one first."""
        found = self._find_model()
        tags = found.tags if found else {}
        told = [move for name, value in tags.items() if name.startswith(_MOVE) and (move := _read_move(value))]
        return sorted(told, key=lambda move: move.at, reverse=True)

    def promote(self, version: str, why: str, instead_of: str | None = None) -> Move:
        """
        Make a version the champion; it is a challenger no more.

        Parameters
        ----------
        version : str
        why : str
        instead_of : str or None
            The champion that it was compared with; None for whichever it is.

        Raises
        ------
        PromotionRefused
            If it is the champion already, or another one than the expected has become it meanwhile.
        """
        before = self.find(CHAMPION)
        if before == version:
            raise PromotionRefused(f"{self.name} version {version} is the champion already")
        if instead_of is not None and before != instead_of:
            raise PromotionRefused(
                f"version {before or 'none'} has become the champion meanwhile, and version {version} was compared "
                f"with version {instead_of}"
            )
        move = self._move(CHAMPION, version, why, "promote")
        if self.find(CHALLENGER) == version:
            self.remove(CHALLENGER, f"version {version} is the champion")
        return move

    def roll_back(self, why: str) -> Move:
        """
        Give the alias `champion` back to the version that had it before.

        Raises
        ------
        PromotionRefused
            If it is not known which that was.
        """
        now = self.find(CHAMPION)
        led_here = next(
            (move for move in self.moves() if (move.alias, move.after, move.kind) == (CHAMPION, now, "promote")), None
        )
        if led_here is None or not led_here.before:
            raise PromotionRefused(
                f"it is not known which version of {self.name} was the champion before {now or 'there was one'}; name "
                "the one that is to be: python -m model promote VERSION --ungated --why TEXT"
            )
        self.named(led_here.before)  # before anything is told: it may have been deleted
        return self._move(CHAMPION, led_here.before, why, "roll back")

    def set_challenger(self, version: str, why: str) -> Move:
        """Let a version be the challenger."""
        return self._move(CHALLENGER, version, why, "set")

    def remove(self, alias: str, why: str) -> None:
        """Take an alias away from whichever version has it."""
        if (before := self.find(alias)) is not None:
            self._tell(alias, before, "", why, "remove")
            with self.asking() as client:
                client.delete_registered_model_alias(self.name, alias)

    def _find_model(self) -> Any:
        """The registered model, or None where no version was registered yet."""
        with self.asking() as client:
            return next(iter(client.search_registered_models(f"name = '{self.name}'")), None)

    def _move(self, alias: str, version: str, why: str, kind: str) -> Move:
        move = self._tell(alias, self.find(alias) or "", version, why, kind)
        with self.asking() as client:
            client.set_registered_model_alias(self.name, alias, version)
        return move

    def _tell(self, alias: str, before: str, after: str, why: str, kind: str) -> Move:
        now = datetime.now(UTC)
        shown = why if len(why) <= _MOST_OF_WHY else f"{why[:_MOST_OF_WHY]}…"
        move = Move(now.isoformat(timespec="milliseconds"), alias, before, after, name_person(), shown, kind)
        key = f"{_MOVE}{now:%Y%m%dT%H%M%S.%fZ}"
        with self.asking() as client:
            client.set_registered_model_tag(self.name, key, json.dumps(asdict(move), ensure_ascii=False))
        return move


def _read_move(value: str) -> Move | None:
    """None for a tag of somebody else's that is called so."""
    try:
        return Move(**json.loads(value))
    except (TypeError, ValueError):
        return None


def name_person() -> str:
    """Who does it: whoever started the workflow, or whose account this is."""
    try:
        # A workflow that the clock starts has as its actor whoever changed it last, who did nothing.
        by_hand = os.environ.get("GITHUB_EVENT_NAME") != "schedule"
        return (by_hand and os.environ.get("GITHUB_ACTOR")) or getpass.getuser()
    except (KeyError, OSError):  # an account without a name, as containers have them
        return f"user {os.getuid()}"
