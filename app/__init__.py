"""treeserve: one XGBoost model from the MLflow registry, served over REST."""

__version__ = "0.1.0"
