"""Fixtures of stores in a folder and in a bucket. Each test has its own cache folder."""

import os
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.s3_proxy import S3Proxy
from support.s3_server import s3_server

from sweeper.store.parts.objects import Bucket, Folder, Objects, open_objects
from sweeper.store.store import Store


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Set the cache folder to one in the test's temporary folder, and return it."""
    folder = tmp_path / "cache"
    monkeypatch.setenv("SWEEPER_CACHE", str(folder))
    return folder


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """Create an empty store in a folder."""
    return Store.open(str(tmp_path / "store"), create=True)


@pytest.fixture(scope="session")
def s3() -> Iterator[int]:
    """Start an S3 server with a bucket `sweeps`, set the AWS variables to it, and return its port."""
    with s3_server() as port:
        yield port


@pytest.fixture
def bucket(s3: int) -> Bucket:
    """Return the objects under an unused prefix of the bucket."""
    objects = open_objects(f"s3://sweeps/{uuid.uuid4().hex}")
    assert isinstance(objects, Bucket)
    return objects


@pytest.fixture
def proxy(s3: int, monkeypatch: pytest.MonkeyPatch) -> Iterator[S3Proxy]:
    """Return a proxy before the server, to which buckets are opened from now on."""
    s3_proxy = S3Proxy(s3)
    monkeypatch.setenv("AWS_ENDPOINT_URL", s3_proxy.url)
    yield s3_proxy
    s3_proxy.close()


@pytest.fixture
def disturbed_bucket(proxy: S3Proxy) -> Bucket:
    """Return the objects under an unused prefix of the bucket, behind the proxy."""
    objects = open_objects(f"s3://sweeps/{uuid.uuid4().hex}")
    assert isinstance(objects, Bucket)
    return objects


@pytest.fixture(params=["folder", "bucket"])
def objects(request: pytest.FixtureRequest, tmp_path: Path) -> Objects:
    """Return empty object storage, in a folder and in a bucket in turn."""
    if request.param == "bucket":
        return request.getfixturevalue("bucket")
    (tmp_path / "objects").mkdir()
    return Folder(tmp_path / "objects")


@pytest.fixture
def child_environment() -> dict[str, str]:
    """Return the environment for child processes that import `support`."""
    return {**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])}
