"""Several processes that serve on one machine, and the one above them that watches the registry and adds up."""
