"""The option `--notify URL` of `run` and `resume`: one line about the end of the run is posted there."""

import http.client
import socket
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit

from sweeper.errors import UsageError

from . import show

SECONDS = 10.0  # for an answer
INTERRUPTED_SECONDS = 1.0  # after a signal: `ray job stop` kills the driver after three seconds


def check_url(url: str | None) -> str | None:
    """Return the URL of the option.

    Raises:
        UsageError: It is not the URL of a server.
    """
    if url is None:
        return None
    if urlsplit(url).scheme not in ("http", "https") or not urlsplit(url).hostname:
        raise UsageError(f"--notify {url}: give a URL that begins with http:// or https://")
    return url


@contextmanager
def at_end(url: str | None, job: str) -> Iterator[Callable[[str], None]]:
    """Post a line when the block ends, in whatever way.

    Args:
        url: Where to; None posts nothing.
        job: The name of the job.

    Yields:
        A function to call with what the line says if the block ends without an exception.
    """
    text, seconds = "ended", SECONDS

    def set_text(new_text: str) -> None:
        nonlocal text, seconds
        text = new_text
        seconds = INTERRUPTED_SECONDS if text.startswith("interrupted") else SECONDS

    try:
        yield set_text
    except KeyboardInterrupt:
        set_text("interrupted")
        raise
    except BaseException as error:
        set_text(f"ended by an error: {error}")
        raise
    finally:
        if url is not None:
            _post(url, f"{job} on {socket.gethostname()}: {text}".splitlines()[0], seconds)


def _post(url: str, line: str, seconds: float) -> None:
    """Post a line as plain text; a failure is a warning, which leaves out the URL's path, as it may be a secret."""
    headers = {"Content-Type": "text/plain; charset=utf-8", "User-Agent": "sweeper"}
    request = urllib.request.Request(url, line.encode(errors="backslashreplace"), headers, method="POST")
    try:
        urllib.request.urlopen(request, timeout=seconds).close()
    except urllib.error.HTTPError as error:
        _warn(url, f"it answered {error.code} {error.reason}")
    except urllib.error.URLError as error:
        _warn(url, str(getattr(error.reason, "strerror", None) or error.reason))
    except (OSError, http.client.HTTPException) as error:
        _warn(url, str(error) or type(error).__name__)


def _warn(url: str, reason: str) -> None:
    show.warn(f"--notify: {urlsplit(url).hostname} was not told of the end ({reason}); the results are not affected")
