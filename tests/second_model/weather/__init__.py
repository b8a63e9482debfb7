"""What somebody puts into `model/` to bring a model of their own."""
