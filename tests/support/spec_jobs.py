"""A valid job file of a few lines, to which tests add mistakes."""

JOB = """\
name: small
models:
  weak:   {arch: resnet18k, width: 16, samples: 100, steps: 200, seed: [0, 1, 2]}
  strong: {arch: resnet18k, width: 16, samples: [300, 1200], steps: 200, seed: [10, 11, 12]}
stitch:
  - {bottom: [weak, strong], top: weak, layers: all, stitcher: [conv1x1, identity]}
similarity:
  - {bottom: strong, top: weak, measure: [linear_cka]}
"""
