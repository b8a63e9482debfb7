"""The compiled codec; its sources are in ``codec/``."""

class Codec:
    def __init__(
        self, features: tuple[tuple[bytes, bytes, int, bool, tuple[bytes, ...], tuple[float, ...]], ...]
    ) -> None: ...
    def read(self, body: bytes, max_instances: int, /) -> bytes | None: ...
    def lines(
        self,
        common: str,
        body: bytes,
        predictions: str,
        request_id: str,
        trace_id: str | None,
        at_us: int,
        duration_ns: int,
        /,
    ) -> bytes | None: ...
