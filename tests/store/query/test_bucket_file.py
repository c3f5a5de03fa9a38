"""Large compacted parts of a bucket: a query fetches the columns that it needs, and checks all that it fetches."""

import random
import threading
from pathlib import Path

import duckdb
import pytest
from support.compaction import part_paths
from support.damage import flipped
from support.many_stitches import column_ranges, put_stitches
from support.s3_proxy import CLOSED, LOST_ANSWER, UNAVAILABLE, S3Proxy

from sweeper.errors import StoreUnreachableError
from sweeper.store.parts.objects import Bucket
from sweeper.store.query.query import explained_error
from sweeper.store.store import Store

ROWS = 20_000
BITMAP = 1250  # bytes, of 10,000 images
MEAN = "SELECT cut_b, round(avg(gain), 9) AS gain, max(net_gain) AS net_gain FROM stitches GROUP BY ALL"


@pytest.fixture
def compacted(disturbed_bucket: Bucket, proxy: S3Proxy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Store:
    """Return a compacted store of many stitches in a bucket behind the proxy, on a machine that has not seen it yet."""
    store = Store.open(disturbed_bucket.url, create=True)
    put_stitches(store, ROWS, BITMAP)
    compactor = store.compactor(grace=0)
    assert compactor.publish_all(lambda: True) == 1
    assert compactor.delete_replaced(lambda: True).parts == 0
    monkeypatch.setenv("SWEEPER_CACHE", str(tmp_path / "other machine"))
    proxy.sent.clear()
    return Store.open(store.url)


def ranges_sent(proxy: S3Proxy, path: str) -> list[tuple[int, int]]:
    """Return which bytes of an object were sent, as ranges of positions."""
    return [(sent.start, sent.start + sent.size) for sent in proxy.sent if sent.path.endswith(path)]


def overlapping(ranges: list[tuple[int, int]], others: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """Return the ranges that have a position in common with one of the others."""
    return [(start, end) for start, end in ranges if any(start < other[1] and other[0] < end for other in others)]


def bytes_sent(proxy: S3Proxy) -> int:
    """Return the number of bytes that were sent since the last call."""
    total = sum(sent.size for sent in proxy.sent)
    proxy.sent.clear()
    return total


def replace(store: Store, path: str, content: bytes) -> None:
    """Put another content in the place of an object."""
    store.objects.delete(path)
    store.objects.create(path, content)


def test_a_first_look_fetches_few_bytes_and_no_outcomes_and_a_second_one_nothing_again(
    compacted: Store, proxy: S3Proxy
):
    (path,) = part_paths(compacted, "stitches")
    store_bytes = sum(info.size for info in compacted.objects.list("rows/"))
    bitmaps = column_ranges(compacted.objects.read(path), "correct")
    proxy.sent.clear()
    assert compacted.sql("SELECT count(*) AS n FROM stitches")["n"].to_pylist() == [ROWS]
    assert compacted.sql(MEAN)["gain"].null_count == 0
    first_ranges = ranges_sent(proxy, path)
    assert first_ranges
    assert not overlapping(first_ranges, bitmaps)
    both = bytes_sent(proxy)
    assert both < 0.03 * store_bytes
    assert Store.open(compacted.url).sql(MEAN)["gain"].null_count == 0
    # DuckDB joins neighbouring columns to one read, now and then across others, which then are fetched, too.
    second_ranges = ranges_sent(proxy, path)
    assert not overlapping(second_ranges, [*first_ranges, *bitmaps])
    other_bytes = bytes_sent(proxy) - sum(end - start for start, end in second_ranges)
    assert other_bytes < 2000  # the mark of the store and the list of its parts
    lengths = "SELECT sum(octet_length(correct))::BIGINT AS bytes FROM stitches"
    assert compacted.sql(lengths)["bytes"].to_pylist() == [ROWS * BITMAP]
    assert 0.95 * store_bytes < bytes_sent(proxy) < store_bytes


def test_the_first_count_fetches_less_than_a_fiftieth_of_the_store(compacted: Store, proxy: S3Proxy):
    store_bytes = sum(info.size for info in compacted.objects.list("rows/"))
    proxy.sent.clear()
    assert compacted.sql("SELECT count(*) AS n FROM stitches")["n"].to_pylist() == [ROWS]
    assert bytes_sent(proxy) < 0.02 * store_bytes


def test_a_flipped_bit_is_found_by_the_query_that_reads_it_and_the_part_is_left_out(compacted: Store):
    (path,) = part_paths(compacted, "stitches")
    content = compacted.objects.read(path)
    ((start, end), *_) = column_ranges(content, "gain")
    rng = random.Random(0)
    replace(compacted, path, flipped(content, rng.randrange(8 * start, 8 * end)))
    assert compacted.sql("SELECT max(test_error) IS NULL AS missing FROM stitches")["missing"].to_pylist() == [False]
    assert compacted.damage == []
    assert compacted.sql("SELECT max(gain) IS NULL AS missing FROM stitches")["missing"].to_pylist() == [True]
    assert [damage.path for damage in compacted.damage] == [path]
    reopened = Store.open(compacted.url)
    assert reopened.done() == set()
    assert [damage.path for damage in reopened.damage] == [path]
    replace(compacted, path, content)
    assert len(Store.open(compacted.url).done()) == ROWS
    replace(compacted, path, flipped(content, 8 * len(content) - rng.randrange(1, 8000)))  # in its tail
    assert Store.open(compacted.url).done() == set()


def test_damage_of_the_local_copy_is_fetched_again(compacted: Store):
    expected = compacted.sql(MEAN).to_pylist()
    (copy,) = (compacted._verifier.folder / "rows" / "stitches").iterdir()
    content = bytearray(copy.read_bytes())
    for position in range(0, len(content), 5000):
        content[position] ^= 1
    copy.write_bytes(content)
    assert Store.open(compacted.url).sql(MEAN).to_pylist() == expected
    copy.write_bytes(b"")
    assert Store.open(compacted.url).sql(MEAN).to_pylist() == expected
    copy.unlink()
    assert Store.open(compacted.url).sql(MEAN).to_pylist() == expected
    assert compacted.damage == []


def test_many_readers_fill_one_copy_at_once_over_a_bad_network(compacted: Store, proxy: S3Proxy):
    proxy.faults = {LOST_ANSWER: 0.05, UNAVAILABLE: 0.05, CLOSED: 0.05}
    results: list[object] = []
    threads = [
        threading.Thread(target=lambda: results.append(Store.open(compacted.url).sql(MEAN).to_pylist()))
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    proxy.faults = {}
    assert results == [compacted.sql(MEAN).to_pylist()] * 4


def test_an_outage_during_a_query_is_said_and_is_no_damage(compacted: Store, proxy: S3Proxy):
    with compacted.connect() as con:
        with proxy.outage(), pytest.raises(duckdb.Error) as caught:
            con.sql("SELECT max(test_loss), max(gain) FROM stitches").fetchall()
        error = explained_error(caught.value)
    assert isinstance(error, StoreUnreachableError)
    assert f"the store {compacted.url} can't be reached" in str(error)
    assert compacted.sql("SELECT count(*) AS n FROM stitches")["n"].to_pylist() == [ROWS]


def test_a_store_can_be_read_if_the_cache_folder_cannot_be_written(compacted: Store, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("SWEEPER_CACHE", "/proc/nowhere")
    assert Store.open(compacted.url).sql("SELECT count(*) AS n FROM stitches")["n"].to_pylist() == [ROWS]
