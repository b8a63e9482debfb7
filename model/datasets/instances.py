"""Rows as a caller of the service sends them."""

from __future__ import annotations

import json
from typing import Any

import pandas as pd


def to_instances(features: pd.DataFrame) -> list[dict[str, Any]]:
    """Each row as a JSON object of ``POST /predict``: a missing value is None, a whole number stays one."""
    plain = features.astype(object).where(features.notna(), None)
    names = [str(name) for name in plain.columns]
    return [dict(zip(names, row, strict=True)) for row in plain.itertuples(index=False, name=None)]


def to_body(features: pd.DataFrame) -> bytes:
    """A body of ``POST /predict``."""
    return json.dumps({"instances": to_instances(features)}).encode()
