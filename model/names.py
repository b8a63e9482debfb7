"""What the example is called in the registry; read without importing anything that is slow."""

from __future__ import annotations

MODEL_NAME = "flight-delay"
CHAMPION = "champion"
