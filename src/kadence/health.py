"""The port that machines look at: ``/metrics`` for Prometheus, ``/livez`` and ``/readyz`` for whoever restarts us.

The standard library's server, with what it lacks against clients that stall: each connection has a thread of its own
and a timeout, and there are only so many of them.
"""

from __future__ import annotations

import errno
import json
import logging
import socket
import sys
import threading
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from socketserver import TCPServer
from typing import TYPE_CHECKING, Any, ClassVar, Final

from typing_extensions import override

from kadence.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from kadence.metrics import Metrics

    _Page = tuple[HTTPStatus, str, bytes]
    """Status, content type and body."""
    _Pages = Mapping[str, Callable[[str], _Page]]
    """What makes each page, given the ``Accept`` header."""

_MAX_CONNECTIONS: Final = 64
"""A further one is closed at once."""
_PATIENCE: Final = 10.0
"""Seconds that a client may take over each read or write."""
_PORTS_TRIED: Final = 101
_LAST_PORT: Final = 65_535
_STOP_POLL: Final = 0.1
_JSON: Final = "application/json"

_log = logging.getLogger("kadence.health")


class HealthServer:
    """Serves the three pages from `start` to `stop`; the port is taken by the constructor.

    ``live`` and ``ready`` are asked per request, by the server's threads: None is fine (200), a text is the reason
    why not (503). ``explicit``: somebody chose the port. Then it must be free, else the next free one of a hundred is
    used and logged. Raises `ConfigurationError` where no port can be had.
    """

    def __init__(
        self,
        host: str,
        port: int,
        explicit: bool,  # noqa: FBT001
        metrics: Metrics,
        live: Callable[[], str | None],
        ready: Callable[[], str | None],
    ) -> None:
        def scrape(accept: str) -> _Page:
            body, content_type = metrics.negotiate(accept)
            return HTTPStatus.OK, content_type, body

        pages = {"/metrics": scrape, "/livez": _verdict(live), "/readyz": _verdict(ready)}
        self._server = _bind(host, port, 1 if explicit else _PORTS_TRIED, pages)
        self.port: int = self._server.server_address[1]
        """The port that was taken."""
        if port not in {0, self.port}:
            _log.info("port %d is taken, so port %d is used", port, self.port)
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Answer requests from now on, in threads that keep no process alive."""
        self._thread = threading.Thread(
            target=self._server.serve_forever, args=(_STOP_POLL,), name="kadence-health", daemon=True
        )
        self._thread.start()
        _log.info("serving /metrics, /livez and /readyz on port %d", self.port)

    def stop(self) -> None:
        """Give the port back. Idempotent; a request under way is not waited for."""
        if self._thread is not None:
            self._server.shutdown()
            self._thread.join()
            self._thread = None
        self._server.server_close()


def _verdict(ask: Callable[[], str | None]) -> Callable[[str], _Page]:
    def page(_accept: str) -> _Page:
        reason = ask()
        if reason is None:
            return HTTPStatus.OK, _JSON, _body(status="ok")
        return HTTPStatus.SERVICE_UNAVAILABLE, _JSON, _body(status="unavailable", reason=reason)

    return page


def _body(**values: object) -> bytes:
    return json.dumps(values).encode() + b"\n"


def _bind(host: str, port: int, tries: int, pages: _Pages) -> _Server:
    """A server on the first port that is free, of as many as may be tried."""
    candidates = range(port, min(port + tries, _LAST_PORT + 1))
    for candidate in candidates:
        try:
            return _Server(host, candidate, pages)
        except OSError as error:
            if error.errno != errno.EADDRINUSE:
                raise ConfigurationError(f"cannot serve metrics on {host} port {candidate}: {error.strerror}") from None
    taken = f"port {port} is" if tries == 1 else f"ports {port} to {candidates[-1]} are"
    raise ConfigurationError(f"cannot serve metrics on {host}: {taken} taken; choose another with KADENCE_METRICS_PORT")


class _Server(ThreadingHTTPServer):
    """Binds without asking DNS for its own name, and bounds the connections it has open."""

    daemon_threads = True
    request_queue_size = _MAX_CONNECTIONS

    def __init__(self, host: str, port: int, pages: _Pages) -> None:
        self.address_family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self.pages = pages
        self._places = threading.BoundedSemaphore(_MAX_CONNECTIONS)
        super().__init__((host, port), _Handler)

    @override
    def server_bind(self) -> None:
        """As any TCP server: HTTPServer would look up the host's full name, which can take many seconds."""
        TCPServer.server_bind(self)

    @override
    def process_request(self, request: Any, client_address: Any) -> None:
        """Hand a connection to a thread, if there is a place for one."""
        if not self._places.acquire(blocking=False):
            _log.warning("%d connections are open already; one more is closed", _MAX_CONNECTIONS)
            self.shutdown_request(request)
            return
        try:
            super().process_request(request, client_address)
        except RuntimeError:  # no thread can be started
            self._places.release()
            raise

    @override
    def process_request_thread(self, request: Any, client_address: Any) -> None:
        """Serve a connection until it ends."""
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._places.release()

    @override
    def handle_error(self, request: Any, client_address: Any) -> None:
        """Called while the error is being handled; a client that went away is none."""
        level = logging.DEBUG if isinstance(sys.exception(), ConnectionError) else logging.ERROR
        _log.log(level, "a request from %s was not answered", client_address, exc_info=True)


class _Handler(BaseHTTPRequestHandler):
    """Answers one connection's requests."""

    server: _Server  # type: ignore[mutable-override]  # no other server makes one
    protocol_version = "HTTP/1.1"
    server_version = "kadence"
    sys_version = ""
    timeout: ClassVar[float | None] = _PATIENCE

    def do_GET(self) -> None:
        """Send a page."""
        self._answer(with_body=True)

    def do_HEAD(self) -> None:
        """Send what `do_GET` would, less the body."""
        self._answer(with_body=False)

    def _answer(self, *, with_body: bool) -> None:
        page = self.server.pages.get(self.path.partition("?")[0])
        if page is None:
            status, content_type, body = HTTPStatus.NOT_FOUND, _JSON, _body(paths=list(self.server.pages))
        else:
            status, content_type, body = page(self.headers.get("Accept", ""))
        if self.headers.get("Content-Length") or self.headers.get("Transfer-Encoding"):
            self.close_connection = True  # the body is not read, so no further request can be found behind it
        self.send_response(status)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Cache-Control", "no-store")
        if self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()
        if with_body:
            self.wfile.write(body)

    @override
    def log_message(self, format: str, *args: Any) -> None:
        """A probe every second is not news."""
        _log.debug(format, *args)
