"""The compiled codec; its sources are in ``codec/``."""

from collections.abc import Sequence

class Codec:
    def __init__(
        self, features: tuple[tuple[bytes, bytes, int, bool, tuple[bytes, ...], tuple[float, ...]], ...]
    ) -> None: ...
    def read(self, body: bytes, max_instances: int, /) -> bytes | None: ...
    def lines(
        self, common: str, exchanges: Sequence[tuple[bytes, str, str, str | None, int, int]], /
    ) -> bytes | None: ...
