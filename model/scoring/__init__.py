"""Answers partitioned Parquet with a registered model version, as the service would."""
