"""Collects what is wrong with a body: a hostile one must not cost a text for each of its faults."""

from __future__ import annotations

from collections.abc import Callable

from app.errors import Fault, FaultCode, InvalidRequest

# A body of many instances can hold a hundred thousand faults; the rest are counted, not listed.
MAX_LISTED_FAULTS = 1_000
# Longer than the name of any feature that was ever served; a caller's megabyte is not sent back.
_MAX_STEP_CHARACTERS = 256


def escape_pointer(name: str) -> str:
    """One step of a JSON pointer (RFC 6901); an absurdly long one is cut."""
    if len(name) > _MAX_STEP_CHARACTERS:
        name = name[:_MAX_STEP_CHARACTERS] + "…"
    return name.replace("~", "~0").replace("/", "~1")


class Faults:
    """
    The faults of one body.

    Attributes
    ----------
    listed : list of Fault
        The first `MAX_LISTED_FAULTS`.
    n_found : int
        All of them.
    hints : dict of str to str or None
        The nearest names that were looked for, so that each is looked for once.
    """

    def __init__(self) -> None:
        self.listed: list[Fault] = []
        self.n_found = 0
        self.hints: dict[str, str | None] = {}

    @property
    def has_room(self) -> bool:
        """Whether the next fault is listed, and so worth describing."""
        return len(self.listed) < MAX_LISTED_FAULTS

    def add(self, pointer: str, code: FaultCode, detail: str) -> None:
        """Count a fault, and list it if there is room."""
        self.n_found += 1
        if self.has_room:
            self.listed.append(Fault(pointer, code, detail))

    def add_lazily(self, index: int, name: str, code: FaultCode, describe: Callable[[str], str]) -> None:
        """Count a fault of one feature; it is described only if it is listed."""
        if self.has_room:
            self.add(f"/instances/{index}/{escape_pointer(name)}", code, describe(name))
        else:
            self.n_found += 1

    def refuse(self, so: str = "nothing was predicted") -> None:
        """Raise `InvalidRequest` if there is any fault, and say what that means."""
        if self.n_found:
            n = self.n_found
            what = "1 fault" if n == 1 else f"{n} faults"
            listed = "" if n == len(self.listed) else f", of which the first {len(self.listed)} are listed"
            raise InvalidRequest(f"The request has {what}{listed}; {so}.", self.listed, n)
