"""Several machines: a Dask cluster, forests grown on it, and work given out to it."""
