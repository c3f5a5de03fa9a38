"""Tests of `doctor` on a bucket, with a real server of the protocol of S3."""

from sweeper.cli.checks import storage
from sweeper.cli.checks.check import FAILED, OK
from sweeper.store.store import Store


def test_a_bucket_is_written_read_back_and_left_as_it_was(bucket):
    check = storage.check_store(bucket.url, True)
    assert (check.state, check.details) == (
        OK,
        f"rows can be written and read; {bucket.url} doesn't exist yet; the run makes it",
    )
    assert bucket.list("") == []
    Store.open(bucket.url, create=True)
    assert storage.check_store(bucket.url, True).details.endswith("0 tasks done")


def test_a_bucket_that_does_not_exist_is_named_with_its_fix(s3):
    check = storage.check_store("s3://no-such-bucket/store", True)
    assert check.state == FAILED
    assert "there is no such bucket" in check.details
    assert "AWS_PROFILE" in check.fix
