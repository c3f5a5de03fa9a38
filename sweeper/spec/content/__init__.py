"""Content of data sets and weights in files: digests, sizes, layouts."""
