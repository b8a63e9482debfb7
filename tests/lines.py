"""Lines of the payload log for tests, as they look unless a test says otherwise."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from app.signature import Signature
from app.wire.decoder import InstancesDecoder
from app.wire.line_format import LineFormat, LineRules
from app.wire.log_lines import LineMaker

if TYPE_CHECKING:
    from app.wire import _codec

COMMON = '"a": 1'


def make_format(signature: Signature, before_other: str = "", common: str = COMMON, **rules: Any) -> LineFormat:
    """The format under some rules."""
    return LineFormat.of(signature, LineRules(**rules), common, before_other)


def gather(signature: Signature, before_other: str = "", **rules: Any) -> _codec.Lines:
    """No lines yet."""
    return make_maker(signature, before_other, **rules).gather()


def make_maker(signature: Signature, before_other: str = "", common: str = COMMON, **rules: Any) -> LineMaker:
    """What makes them."""
    return InstancesDecoder(signature).line_maker(make_format(signature, before_other, common, **rules))


def join(lines: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """One line for each instance, whose features may stand in several."""
    whole: list[dict[str, Any]] = []
    for line in lines:
        n_parts = line.pop("treeserve.parts", 1)
        if line.pop("treeserve.part", 0) == 0:
            whole.append({**line, "n_left": n_parts})
            whole[-1] |= {name: dict(value) for name, value in line.items() if isinstance(value, dict)}
        else:
            for name, value in line.items():
                if isinstance(value, dict):
                    whole[-1].setdefault(name, {}).update(value)
                elif isinstance(value, list):
                    whole[-1].setdefault(name, []).extend(value)
                else:
                    assert whole[-1][name] == value
        whole[-1]["n_left"] -= 1
    assert [line.pop("n_left") for line in whole] == [0] * len(whole)
    return whole
