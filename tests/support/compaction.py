"""Stores to compact, and what their views show."""

from typing import Any

from support.store_rows import curve, failure, model, similarity, start, stitch
from sweeper.store.query.views import VIEWS
from sweeper.store.store import Store


def all_views(store: Store) -> dict[str, list[dict[str, Any]]]:
    """Return the rows of every view, in an order of their own."""

    def read() -> dict[str, list[dict[str, Any]]]:
        with store.connect() as con:
            return {
                view.name: con.sql(f"SELECT * FROM {view.name} ORDER BY ALL").to_arrow_table().to_pylist()
                for view in VIEWS
            }

    return store.retried(read)


def part_paths(store: Store, kind: str = "") -> list[str]:
    """Return the paths of the parts that lie in a store."""
    return [info.path for info in store.objects.list(f"rows/{kind}/" if kind else "rows/")]


def parts_read(store: Store, kind: str) -> list[str]:
    """Return the paths of the parts of a kind that queries read."""
    return [part.name.path for part in Store.open(store.url)._verifier.check().valid if part.name.kind == kind]


def fill_store(store: Store, parts: int = 6) -> None:
    """Commit so many parts of models, stitches and curves, and one of each other kind; a stitch is in all parts."""
    for i in range(parts):
        run = f"r{i}"
        rows = [model(f"m{i}", options="{}", run=run), curve(f"m{i}", 1, run=run), curve(f"m{i}", 2, run=run)]
        rows += [stitch(f"m{i}", "m0", run=run, gain=float(i)), stitch("m0", "m0", run=run, attempt=i, gain=float(i))]
        store.commit(rows, run=run, worker="w")
    others = [similarity("m0", "m1"), failure("lost"), failure("m0>m0@block1"), start("r0")]
    store.commit(others, run="r0", worker="w")


def compact(store: Store, grace: float = 0.0) -> None:
    """Compact a store whose lease nobody holds; parts that were replaced stay for the grace period (seconds)."""
    compactor = store.compactor(grace=grace)
    compactor.publish_all(held)
    compactor.delete_replaced(held)


def held() -> bool:
    """Return True, as for the holder of the lease."""
    return True
