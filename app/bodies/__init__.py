"""Request bodies made up for the model that a running service serves."""
