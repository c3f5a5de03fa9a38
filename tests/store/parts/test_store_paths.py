"""Paths in a store, and the parsing of their fields."""

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sweeper.spec.records import ident
from sweeper.store.parts import store_paths

NAME = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,20}", fullmatch=True)
AT = datetime(2026, 1, 2, 3, 4, 5, 6, UTC)


@given(NAME, NAME, st.binary(max_size=50), st.datetimes(timezones=st.just(UTC)))
def test_the_path_of_a_part_contains_its_kind_size_and_digest(run: str, worker: str, content: bytes, at: datetime):
    path = store_paths.part("stitches", run, worker, at, content)
    name = store_paths.PartName(path, "stitches", len(content), ident.digest(content)[:16])
    assert store_paths.parse_part(path) == name
    assert store_paths.kind_of(path) == "stitches"


def test_the_path_of_a_part_does_not_depend_on_the_time_zone():
    local_time = AT.astimezone(timezone(timedelta(hours=5)))
    assert store_paths.part("models", "r", "w", local_time, b"") == store_paths.part("models", "r", "w", AT, b"")


@pytest.mark.parametrize("name", ["", "a/b", "../x", ".hidden", "a b", "ä", "x" * 101, "a\n"])
def test_names_with_characters_that_are_not_allowed_in_a_path_are_refused(name: str):
    with pytest.raises(ValueError, match="can't be used in the name of a part"):
        store_paths.part("models", name, "w", AT, b"")
    with pytest.raises(ValueError, match="can't be used in the name of a part"):
        store_paths.part("models", "r", name, AT, b"")


@pytest.mark.parametrize("path", ["rows/models/x.parquet", "rows/x-1-0123456789abcdef.parquet", "weights/x", ""])
def test_other_paths_are_not_parsed_as_parts(path: str):
    assert store_paths.parse_part(path) is None


def test_paths_of_weights_and_leases_can_be_parsed():
    digest = ident.digest(b"x")
    assert store_paths.parse_weights(store_paths.weights(digest)) == digest
    assert store_paths.parse_weights("weights/x.safetensors") is None
    assert store_paths.parse_lease(store_paths.lease(123)) == 123
    assert store_paths.parse_lease("lease/x.json") is None
    assert store_paths.lease(9) < store_paths.lease(10) < store_paths.lease(100)
