"""Tests of the cache: it drops the least recently used value first and keeps to its budget."""

from hypothesis import given, settings
from hypothesis import strategies as st

from sweeper.trials.process.lru_cache import Cache


def test_a_cached_value_is_not_computed_again() -> None:
    cache: Cache[str] = Cache(10)
    assert cache.get("a", lambda: ("first", 4)) == "first"
    assert cache.get("a", lambda: ("second", 4)) == "first"


def test_the_least_recently_used_value_is_dropped() -> None:
    cache: Cache[str] = Cache(10)
    for key in ("a", "b", "a", "c"):
        cache.get(key, lambda key=key: (key, 4))
    assert cache.get("a", lambda: ("again", 4)) == "a"
    assert cache.get("b", lambda: ("again", 4)) == "again"


def test_a_value_over_the_budget_is_returned_and_not_cached() -> None:
    cache: Cache[str] = Cache(10)
    cache.get("small", lambda: ("small", 4))
    assert cache.get("large", lambda: ("large", 11)) == "large"
    assert len(cache) == 1
    cache.clear()
    assert (len(cache), cache.bytes) == (0, 0)


@settings(deadline=None)
@given(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 12)), max_size=60))
def test_the_cache_never_exceeds_its_budget(requests: list[tuple[int, int]]) -> None:
    cache: Cache[int] = Cache(20)
    for key, size in requests:
        assert cache.get(key, lambda key=key, size=size: (key, size)) == key
        assert cache.bytes <= 20
