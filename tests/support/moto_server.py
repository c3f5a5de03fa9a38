"""The server of moto with puts that are atomic under a condition, as those of S3 are: `moto_server.py PORT`.

Moto itself looks for the object and writes it in two steps, so that two puts of one object at the same moment could
both succeed.
"""

import sys
import threading
from collections.abc import Iterable
from typing import Any

from moto.server import DomainDispatcherApplication, MotoRequestHandler, create_backend_app
from werkzeug.serving import run_simple


class AtomicPuts:
    """A WSGI application that passes requests on to another one, and conditional ones one after the other."""

    def __init__(self, application: Any):
        self._application = application
        self._lock = threading.Lock()

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        """Answer a request."""
        if "HTTP_IF_NONE_MATCH" not in environ:
            return self._application(environ, start_response)
        with self._lock:
            return list(self._application(environ, start_response))


if __name__ == "__main__":
    application = AtomicPuts(DomainDispatcherApplication(create_backend_app))
    run_simple("127.0.0.1", int(sys.argv[1]), application, threaded=True, request_handler=MotoRequestHandler)
