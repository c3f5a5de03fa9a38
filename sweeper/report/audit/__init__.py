"""The comparison of a store with the paper's curves (`sweeper audit`).

`definition` reads which results correspond to which curve, `select` queries them, `compare` and `agree` compare them
with `curves`, and `show` formats the result.
"""
