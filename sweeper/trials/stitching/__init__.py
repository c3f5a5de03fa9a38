"""The stitch kernel: stitchers between frozen halves, their training and their closed forms."""
