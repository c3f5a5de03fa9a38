"""Fixtures of stores in a folder and in a bucket. Each test has its own cache folder."""

import os
import socket
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.s3_proxy import S3Proxy

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
    """Start an S3 server (moto, over HTTP) with a bucket `sweeps`, set the AWS variables to it, and return its port."""
    with socket.socket() as free_socket:
        free_socket.bind(("127.0.0.1", 0))
        port = free_socket.getsockname()[1]
    command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
    server = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    with pytest.MonkeyPatch.context() as patch:
        for name, value in {
            "AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}",
            "AWS_ALLOW_HTTP": "true",
            "AWS_ACCESS_KEY_ID": "testing",
            "AWS_SECRET_ACCESS_KEY": "testing",
            "AWS_REGION": "us-east-1",
        }.items():
            patch.setenv(name, value)
        try:
            _make_bucket(port)
            yield port
        finally:
            server.terminate()
            server.wait()


def _make_bucket(port: int) -> None:
    """Create the bucket as soon as the server answers; fail after 60 s."""
    import urllib.error
    import urllib.request

    deadline = time.monotonic() + 60
    while True:
        request = urllib.request.Request(f"http://127.0.0.1:{port}/sweeps", method="PUT")
        try:
            with urllib.request.urlopen(request, timeout=10):
                return
        except urllib.error.HTTPError:
            raise
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.2)


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
