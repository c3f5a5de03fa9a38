"""The execution of a sweep with Ray Tune: which pack runs, when, and in which worker process.

`run` plans the missing tasks and sends packs to long-lived workers until every task is done or has failed. A pack is
one Tune trial. The `Frontier` of `sweeper.plan` says which packs may start, `pack_scheduler` tracks the running packs
and their retries, `searcher` adapts both to Tune's interface, and `worker` performs a pack and commits its rows to the
store.
"""
