"""The paragraph on methods that the checklist of a paper asks for, with the numbers of a store."""

from collections.abc import Iterable
from typing import TYPE_CHECKING

from sweeper.spec.content.wording import count_of
from sweeper.store.query.query import run_query

from .tables import Table, tables

if TYPE_CHECKING:
    import duckdb

    from sweeper.store.store import Store

_FACTS = """
SELECT
    (SELECT count(*) FROM models) AS models,
    (SELECT count(DISTINCT training) FROM models WHERE steps > 0) AS training_runs,
    (SELECT count(*) FROM stitches WHERE a <> b AND sender = 'network') AS stitches,
    (SELECT count(*) FROM stitches WHERE a = b OR sender <> 'network') AS controls,
    (SELECT count(*) FROM similarities) AS similarities,
    (SELECT string_agg(DISTINCT concat(dataset, ' (content ', left(data_digest, 12), ')'), ', ') FROM models) AS data,
    (SELECT string_agg(DISTINCT concat(stitcher, ' under ', protocol), ', ') FROM stitches) AS stitchers,
    (SELECT coalesce(max(octet_length(correct)), 0) > 0 FROM stitches) AS has_outcomes,
    (SELECT bool_or(nested) FROM models) AS nested,
    (SELECT count(DISTINCT task) FROM failures WHERE final) AS failed,
    (SELECT string_agg(DISTINCT code, ', ') FROM models) AS code,
    (SELECT string_agg(DISTINCT versions ->> 'torch', ', ') FROM models) AS torch,
    (SELECT count(*) FROM runs) AS runs,
    (SELECT count(DISTINCT plan) FROM plans) AS plans
"""

# Of the ids and results of all tasks, so that it doesn't depend on how they are divided into files.
_DIGEST = """
SELECT sha256(string_agg(concat(task, ' ', result), chr(10) ORDER BY task, result)) AS digest
FROM (
    SELECT task, test_error AS result FROM models
    UNION ALL
    SELECT task, test_error FROM stitches
    UNION ALL
    SELECT task, value FROM similarities
)
"""


def methods_paragraph(store: "Store", only: Iterable[str] | None = None, margin: float = 1.0) -> str:
    """Return the paragraph about the results of a store.

    Args:
        store: An open store.
        only: Ids of the tasks to use; all if None.
        margin: The margin of the verdicts, in percentage points.
    """
    ids = None if only is None else list(only)

    def read() -> tuple[dict, str, Table]:
        pinned = store.pinned()
        with pinned.connect(only=ids) as connection:
            facts, digest = _row(connection, _FACTS), _row(connection, _DIGEST)["digest"]
        return facts, digest or "none, as there are no results", tables(pinned, ["zoo"], only=ids)[0]

    facts, digest, zoo = store.retried(read)
    seeds = [row["seeds"] for row in zoo.rows.to_pylist()]
    return " ".join([*_what(facts, seeds), *_intervals(facts, margin), *_provenance(facts, digest, zoo.version)])


def _row(connection: "duckdb.DuckDBPyConnection", query: str) -> dict:
    return run_query(connection, query).to_pylist()[0]


def _what(facts: dict, seeds: list[int]) -> list[str]:
    """Return the sentences on what was trained and compared, and on what varies between runs."""
    seeds_of_each = f"{min(seeds, default=0)}" if len(set(seeds)) < 2 else f"{min(seeds)} to {max(seeds)}"
    return [
        f"We compared {facts['models']:,} networks of {len(seeds)} settings ({seeds_of_each} seeds of each; "
        f"{facts['training_runs']:,} training runs) on {facts['data'] or 'no data'} by model stitching (Bansal et al., "
        f"2021), in {facts['stitches']:,} stitches and {facts['controls']:,} control stitches "
        f"({facts['stitchers'] or 'no stitcher'})"
        + (f" and {facts['similarities']:,} similarities." if facts["similarities"] else "."),
        "Networks of one setting differ in their seed, which determines the initial weights, the order and "
        "augmentation of the training images, and which images a subset has"
        + (", except for nested subsets, which are the same for all seeds." if facts["nested"] else "."),
        "The net gain of a stitch is B's test error minus that of the stitched network, less the same difference where "
        "B is stitched to itself.",
    ]


def _intervals(facts: dict, margin: float) -> list[str]:
    """Return the sentences on what intervals are of, on what they assume, and on verdicts."""
    scope = "other seeds and other test images" if facts["has_outcomes"] else "other seeds on the same test images"
    return [
        f"Intervals are for {scope} from the same distribution.",
        "Their units are training runs, not stitches: the variance is a jackknife that leaves out one run at a time "
        "with all its stitches (Owen, 2007), and half-widths use Student's t with one degree of freedom less than "
        "the runs of a side.",
        "They assume that runs are independent and that means over runs are approximately normal; they say nothing "
        "about other data sets, architectures or training recipes.",
        "Intervals of the verdicts on one question hold together in 95 % of experiments (Bonferroni), at all looks at "
        "their growing data together: the first look has 2/3 of the error, and the k-th after it 1/(3k(k - 1)) "
        f"(the store was written in {count_of(facts['runs'], 'run')} of {count_of(facts['plans'], 'plan')}).",
        f"A verdict is read off its interval with a margin of {margin:g} points.",
    ]


def _provenance(facts: dict, digest: str, version: str) -> list[str]:
    failed = f"{facts['failed']} tasks failed and are missing." if facts["failed"] else "No task failed."
    return [
        failed,
        f"Computed with Sweeper {facts['code'] or 'of an unknown version'} and torch "
        f"{facts['torch'] or 'of an unknown version'}. Version of the store: {version}; SHA-256 of the ids and results "
        f"of all tasks: {digest}.",
    ]
