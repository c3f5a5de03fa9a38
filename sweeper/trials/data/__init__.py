"""Data sets: decoding, the stream of training batches, augmentations, and subsets of the training images."""
