"""The compiled counter; its source is in ``counting/``."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

def count(
    columns: bytes,
    edges: bytes,
    codes: bytes,
    matrices: Sequence[npt.NDArray[np.float32]],
    counts: npt.NDArray[np.int64],
    /,
) -> None: ...
