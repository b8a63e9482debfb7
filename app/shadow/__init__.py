"""Two model versions on the same instances: which of them answers, and what the other one would have."""
