"""The compiled kernel; its sources are in ``kernel/``."""

from typing import Final

from app.forest.kernel_forest import FloatMatrix

walks: Final[tuple[str, ...]]

class Forest:
    walk: Final[str]
    def __init__(
        self,
        *,
        nodes: bytes,
        leaves: bytes,
        roots: bytes,
        groups: bytes,
        depths: bytes,
        has_categories: bytes,
        sets: bytes,
        is_category: bytes,
        base_scores: bytes,
        n_codes: int,
        feature_bits: int,
        transform: str,
        walk: str | None,
    ) -> None: ...
    def margins(self, matrix: FloatMatrix, out: FloatMatrix, /) -> None: ...
    def predictions(self, matrix: FloatMatrix, out: FloatMatrix, /) -> None: ...
