"""The compiled codec; its sources are in ``codec/``."""

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

def predictions(values: npt.NDArray[np.float32], n_columns: int, /) -> str | None: ...

class Codec:
    def __init__(
        self, features: tuple[tuple[bytes, bytes, int, bool, tuple[bytes, ...], tuple[float, ...]], ...]
    ) -> None: ...
    def read(
        self, body: bytes, max_instances: int, unknown_is_missing: bool, max_listed: int, /
    ) -> tuple[bytes, int, list[tuple[int, int, str]]] | None: ...
    def format(
        self, common: str, before_other: str, fields: bytes, hashed: bytes, key: bytes, max_line: int, /
    ) -> Format: ...

class Format:
    def gather(self) -> Lines: ...

class Lines:
    @property
    def n_bytes(self) -> int: ...
    def add(
        self,
        body: bytes,
        predictions: str,
        request_id: str,
        trace_id: str | None,
        at_us: int,
        duration_ns: int,
        /,
    ) -> None: ...
    def tell(self, others: list[str | None], /) -> None: ...
    def __iter__(self) -> Iterator[tuple[bytes, int]]: ...
    def __next__(self) -> tuple[bytes, int]: ...
