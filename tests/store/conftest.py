"""Stores in a folder and in a bucket; the cache folder is each test's own."""

import os
import socket
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from sweeper.store.parts.objects import Bucket, Folder, Objects, open_objects
from sweeper.store.store import Store


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "cache"
    monkeypatch.setenv("SWEEPER_CACHE", str(folder))
    return folder


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store.open(str(tmp_path / "store"), create=True)


@pytest.fixture(scope="session")
def s3() -> Iterator[None]:
    """A real HTTP server that speaks S3 (moto), with a bucket `sweeps`, named by the usual variables."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
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
            yield
        finally:
            server.terminate()
            server.wait()


def _make_bucket(port: int) -> None:
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
def bucket(s3: None) -> Bucket:
    objects = open_objects(f"s3://sweeps/{uuid.uuid4().hex}")
    assert isinstance(objects, Bucket)
    return objects


@pytest.fixture(params=["folder", "bucket"])
def objects(request: pytest.FixtureRequest, tmp_path: Path) -> Objects:
    return Folder(tmp_path / "objects") if request.param == "folder" else request.getfixturevalue("bucket")


@pytest.fixture
def child_environment() -> dict[str, str]:
    """For child processes that import this room's helpers."""
    return {**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])}
