"""Tests of addresses where no usable Ray cluster is: refused within seconds, with the reason."""

import os
import signal
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from support.driver_process import MARK, processes_with
from support.ray_nodes import RayNodes, ray_nodes

from sweeper.engine import cluster_address
from sweeper.errors import SetupError


@pytest.fixture
def closed_port() -> int:
    """Return a port of this machine that refuses connections."""
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        return server.getsockname()[1]


def test_an_address_where_nothing_listens_is_refused_within_seconds(closed_port):
    started = time.monotonic()
    with pytest.raises(SetupError, match=rf"engine.address=127.0.0.1:{closed_port}: there is no Ray cluster") as caught:
        cluster_address.check_address(f"127.0.0.1:{closed_port}")
    assert time.monotonic() - started < 4
    assert "ray start --head" in str(caught.value)
    assert caught.value.exit_code == 2


def test_a_host_that_does_not_exist_is_refused():
    with pytest.raises(SetupError, match="there is no Ray cluster"):
        cluster_address.check_address("no-such-host.invalid:6379")


def test_a_server_that_is_not_ray_is_refused_after_a_time_limit(monkeypatch):
    monkeypatch.setattr(cluster_address, "ANSWER_SECONDS", 3.0)
    server, refused = (
        socket.create_server(("127.0.0.1", 0)),
        pytest.raises(SetupError, match="not as a Ray cluster within 3 s"),
    )
    with server, refused:
        cluster_address.check_address(f"127.0.0.1:{server.getsockname()[1]}")


def test_auto_uses_the_address_in_the_environment(monkeypatch, closed_port):
    monkeypatch.setenv("RAY_ADDRESS", f"127.0.0.1:{closed_port}")
    with pytest.raises(SetupError, match=rf"engine.address=auto \(127.0.0.1:{closed_port}\): there is no Ray"):
        cluster_address.check_address("auto")


@pytest.mark.parametrize("log", ["Unauthenticated: RPC error: InvalidAuthToken", "Token mode, but no token exists"])
def test_a_cluster_with_another_token_is_named_as_such(monkeypatch, log):
    monkeypatch.setattr(cluster_address, "_ASK", f"import sys; sys.exit({log!r})")
    server, refused = socket.create_server(("127.0.0.1", 0)), pytest.raises(SetupError, match=r"own .*RAY_AUTH_TOKEN")
    with server, refused:
        cluster_address.check_address(f"127.0.0.1:{server.getsockname()[1]}")


@pytest.fixture
def head(toy_environment: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[RayNodes]:
    """Start the head of a cluster that requires a token, as a process, and use this token."""
    token = {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": "a" * 64}
    for name, value in token.items():
        monkeypatch.setenv(name, value)
    with ray_nodes(tmp_path, "--include-dashboard=false", **token) as cluster:
        yield cluster


@pytest.mark.slow
def test_a_real_cluster_is_refused_without_its_token(head, monkeypatch):
    """Check also a wrong token, and a machine that is told to use a token and has none."""
    cluster_address.check_address(head.address)
    for variables in (
        {"RAY_AUTH_TOKEN": "b" * 64},
        {"RAY_AUTH_TOKEN": ""},
        {"RAY_AUTH_TOKEN": "", "RAY_AUTH_MODE": ""},
    ):
        for name, value in variables.items():
            monkeypatch.setenv(name, value) if value else monkeypatch.delenv(name, raising=False)
        with pytest.raises(SetupError, match=r"own token.*RAY_AUTH_TOKEN"), within(60):
            cluster_address.check_address(head.address)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("program", "number", "problem"),
    [
        ("gcs_server", signal.SIGSTOP, "not as a Ray cluster within"),
        ("gcs_server", signal.SIGKILL, "there is no Ray cluster"),
        ("raylet", signal.SIGKILL, "no node of this Ray cluster runs on this machine"),
    ],
)
def test_a_real_cluster_without_a_living_head_or_node_is_refused(head, program, number, problem):
    for pid in processes_with(f"{MARK}={head.mark}"):
        if Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")[0].endswith(program.encode()):
            os.kill(pid, number)
    time.sleep(2)  # the threads of a killed process may still be ending
    with pytest.raises(SetupError, match=problem), within(60):
        cluster_address.check_address(head.address)


@contextmanager
def within(seconds: float) -> Iterator[None]:
    """Check that a block ends within some seconds, also by an exception."""
    started = time.monotonic()
    try:
        yield
    finally:
        assert time.monotonic() - started < seconds
