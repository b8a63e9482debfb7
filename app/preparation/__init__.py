"""Model versions made ready to serve: downloaded, verified, packed, and kept in files that are read in milliseconds."""
