"""The strategy `dask`: items are done by the workers of a Dask cluster."""
