"""A small job, and job servers: the stand-in, and Ray's own where `ray[default]` is installed."""

import importlib.util
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.job_server import TOKEN, JobServer
from support.ray_nodes import free_port, ray_nodes

JOB = """\
name: tiny
models:
  m: {arch: mlp, samples: 100, steps: 20, seed: [0, 1]}
stitch:
  - {bottom: m, top: m, steps: 20, where: a.seed != b.seed}
"""


@pytest.fixture
def job(tmp_path: Path) -> Path:
    """Return the file of a small job, in a folder of its own."""
    file = tmp_path / "jobs" / "tiny.yaml"
    file.parent.mkdir()
    file.write_text(JOB)
    return file


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[JobServer]:
    """Start the stand-in of a job server, whose token this process has."""
    monkeypatch.setenv("RAY_AUTH_TOKEN", TOKEN)
    monkeypatch.setenv("PATH", str(Path(sys.executable).parent), prepend=":")
    server = JobServer(tmp_path / "server")
    server.folder.mkdir()
    yield server
    server.end()


@pytest.fixture(params=["stand-in", "ray"])
def job_server(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Start a job server whose token this process has, and return its address."""
    if request.param == "stand-in":
        yield request.getfixturevalue("server").address
        return
    if importlib.util.find_spec("aiohttp") is None:
        pytest.skip("Ray's job server needs the packages of ray[default]")
    monkeypatch.setenv("RAY_AUTH_TOKEN", TOKEN)
    monkeypatch.setenv("RAY_AUTH_MODE", "token")
    monkeypatch.setenv("PATH", str(Path(sys.executable).parent), prepend=":")
    port, agent_port = free_port(), free_port()
    options = [f"--dashboard-port={port}", f"--dashboard-agent-listen-port={agent_port}", "--dashboard-host=127.0.0.1"]
    with ray_nodes(tmp_path, *options, PYTHONPATH="") as nodes:
        nodes.add("worker", cpus=2)
        yield f"http://127.0.0.1:{port}"
