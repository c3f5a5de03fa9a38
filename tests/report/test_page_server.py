"""The server of the page: what it answers, to whom, and when a browser offers to show the page again."""

import base64
import hashlib
import http.client
import re
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from sweeper.errors import SetupError
from sweeper.report.page_server import PageServer

CHROMIUM = Path("/usr/bin/chromium")


@pytest.fixture
def server() -> Iterator[PageServer]:
    with PageServer() as server:
        yield server


def request(server: PageServer, path: str, method: str = "GET", **headers: str):
    """Return the status, the headers and the body of an answer."""
    connection = http.client.HTTPConnection(*server.url.removeprefix("http://").rstrip("/").split(":"), timeout=30)
    connection.request(method, path, headers={name.replace("_", "-"): text for name, text in headers.items()})
    response = connection.getresponse()
    answer = response.status, response.headers, response.read()
    connection.close()
    return answer


def test_the_page_is_served_with_a_tag_that_changes_with_it(server):
    assert request(server, "/page")[0] == 503
    server.show(b"<p>first</p>")
    status, headers, body = request(server, "/page")
    assert (status, body, headers["Content-Type"]) == (200, b"<p>first</p>", "text/html; charset=utf-8")
    tag = headers["ETag"]
    status, headers, body = request(server, "/page", "HEAD")
    assert (status, headers["ETag"], headers["Content-Length"], body) == (200, tag, "12", b"")
    assert request(server, "/page", If_None_Match=tag)[::2] == (304, b"")
    server.show(b"<p>second</p>")
    status, headers, body = request(server, "/page", If_None_Match=tag)
    assert (status, body) == (200, b"<p>second</p>")
    assert headers["ETag"] != tag


def test_the_frame_allows_its_own_script_and_requests_to_this_server_alone(server):
    status, headers, body = request(server, "/")
    (script,) = re.findall(r"<script>(.*?)</script>", body.decode(), re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert status == 200
    assert headers["Content-Security-Policy"].startswith(f"default-src 'none'; script-src 'sha256-{digest}'; ")
    assert "connect-src 'self'; frame-src 'self'" in headers["Content-Security-Policy"]
    assert b'<iframe src="/page"' in body
    assert request(server, "/etc/passwd")[0] == 404


@pytest.mark.parametrize("path", ["/", "/page"])
def test_other_names_of_this_address_are_not_answered(server, path):
    server.show(b"secret")
    status, _, body = request(server, path, Host="example.com")
    assert status == 421
    assert b"secret" not in body
    port = server.url.rstrip("/").rsplit(":", 1)[1]
    assert request(server, path, Host=f"localhost:{port}")[0] == 200


def test_other_machines_do_not_reach_it(server):
    assert server.url.startswith("http://127.0.0.1:")
    port = int(server.url.rstrip("/").rsplit(":", 1)[1])
    with socket.socket() as other, pytest.raises(ConnectionRefusedError):
        other.connect(("127.0.0.2", port))  # another address of this machine, as that of its network is


def test_a_port_in_use_is_a_sentence(server):
    port = int(server.url.rstrip("/").rsplit(":", 1)[1])
    with pytest.raises(SetupError, match=rf"--port {port}: the server can't listen on it \(Address already in use\)"):
        PageServer(port)


@pytest.mark.browser
@pytest.mark.skipif(not CHROMIUM.exists(), reason="needs /usr/bin/chromium")
def test_a_browser_offers_the_new_page_and_shows_it(server):
    sync_api = pytest.importorskip("playwright.sync_api")
    server.show(b"<p>first</p>")
    console_messages = []
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=str(CHROMIUM), args=["--no-sandbox"])
        tab = browser.new_page()
        tab.on("console", lambda message: console_messages.append(message.text))
        tab.goto(server.url)
        page = tab.frame_locator("iframe")
        page.get_by_text("first").wait_for()
        assert not tab.locator("#notice").is_visible()
        server.show(b"<p>second</p>")
        tab.get_by_text("There are new results.").wait_for()
        assert page.get_by_text("first").is_visible()
        tab.get_by_role("button").click()
        page.get_by_text("second").wait_for()
        assert not tab.locator("#notice").is_visible()
        assert console_messages == []
        browser.close()
