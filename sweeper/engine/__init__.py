"""Where and when: a sweep performed by Ray Tune.

`run` plans what is missing, hands packs to warm workers and takes back which tasks ended. A pack is one Tune trial;
the `Frontier` of `plan` says what may start, `scheduler` keeps its books, `searcher` dresses both for Tune, `worker`
performs a pack and commits its rows to the store.
"""
