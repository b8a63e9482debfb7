"""Model versions in MLflow: what they are packed with, where they come from, how they are registered."""
