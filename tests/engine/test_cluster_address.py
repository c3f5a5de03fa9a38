"""Tests of addresses where no usable Ray cluster is: refused within seconds, with the reason."""

import socket
import time

import pytest

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
