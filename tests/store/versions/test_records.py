"""Tests of the versions that a store keeps."""

import pytest

from sweeper.errors import StoreError
from sweeper.store.parts.objects import Objects
from sweeper.store.versions.records import VersionRecords
from sweeper.store.versions.version import StoreVersion


def version(digest: str) -> StoreVersion:
    """Return a version of one part."""
    return StoreVersion({"models": frozenset([digest])})


def test_a_version_is_kept_once_and_found_by_its_first_digits(objects: Objects):
    records = VersionRecords(objects)
    for digits in ("0", "1", "0"):
        records.keep(version(digits * 16))
    assert len(records.list()) == len(objects.list("versions/")) == 2
    expected = version("1" * 16)
    assert records.find(expected.digest) == records.find(expected.digest[:8]) == expected


def test_an_unknown_version_is_a_sentence_with_the_latest(objects: Objects):
    records = VersionRecords(objects)
    with pytest.raises(StoreError, match=r"has no version abcdef; it has kept none yet; `sweeper tables`"):
        records.find("abcdef")
    records.keep(version("0" * 16))
    with pytest.raises(StoreError, match=rf"it has kept 1, the latest: {version('0' * 16).digest} \(20"):
        records.find("abcdef")


def test_digits_of_several_versions_are_refused(objects: Objects):
    records = VersionRecords(objects)
    kept = [version(f"{number:016x}") for number in range(20)]
    for each in kept:
        records.keep(each)
    with pytest.raises(StoreError, match=r"several versions of .* begin with"):
        records.find(next(d for d in "0123456789abcdef" if sum(each.digest.startswith(d) for each in kept) > 1))


@pytest.mark.parametrize("content", [b"", b'{"format":1,"lost_weights":[],"parts":{}}'])
def test_a_damaged_list_is_not_believed(objects: Objects, content: bytes):
    records = VersionRecords(objects)
    digest = version("0" * 16).digest
    objects.create(f"versions/{digest}.json", content)
    with pytest.raises(StoreError, match=f"versions/{digest}.json can't be read: its content has another digest"):
        records.find(digest)
