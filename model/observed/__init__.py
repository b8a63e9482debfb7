"""What services have logged: drift, outcomes, and how good predictions were."""
