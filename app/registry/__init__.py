"""Where model versions come from: a URI, resolved to a version, downloaded and kept on disk."""
