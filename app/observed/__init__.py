"""How features and predictions are distributed in service, counted in the bins of the reference profile."""
