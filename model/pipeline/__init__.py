"""From data to a registered model version, in one process or in the stages of `dvc.yaml`."""
