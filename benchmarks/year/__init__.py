"""2013 again, month by month, against the running service, and beside it a model that is never retrained."""
