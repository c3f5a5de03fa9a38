"""The computations of tasks: training, stitching and measuring networks; `perform` runs a pack of them."""
