"""Parquet parts of a store: their paths, schemas, publishing and checks."""
