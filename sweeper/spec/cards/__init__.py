"""Cards: what an architecture, stitcher, measure or data set is, without torch."""
