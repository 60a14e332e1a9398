"""The port for machines: its pages, which port it takes, and clients that behave badly."""

from __future__ import annotations

import http.client
import json
import logging
import socket
import threading
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING

import pytest
from typing_extensions import override

from kadence import health
from kadence.errors import ConfigurationError
from kadence.health import HealthServer
from kadence.metrics import Metrics

if TYPE_CHECKING:
    from collections.abc import Iterator

_HOST = "127.0.0.1"


class _Worker:
    """Says of itself what the test tells it to."""

    def __init__(self) -> None:
        self.metrics = Metrics()
        self.not_live: str | None = None
        self.not_ready: str | None = None

    def live(self) -> str | None:
        return self.not_live

    def ready(self) -> str | None:
        return self.not_ready

    def server(self, port: int = 0, *, explicit: bool = True, host: str = _HOST) -> HealthServer:
        return HealthServer(host, port, explicit, self.metrics, self.live, self.ready)


@contextmanager
def _serving(worker: _Worker) -> Iterator[HealthServer]:
    server = worker.server()
    server.start()
    try:
        yield server
    finally:
        server.stop()


@pytest.fixture
def worker() -> _Worker:
    return _Worker()


@pytest.fixture
def server(worker: _Worker) -> Iterator[HealthServer]:
    with _serving(worker) as serving:
        yield serving


def _ask(server: HealthServer, path: str, method: str = "GET", **headers: str) -> tuple[int, str | None, bytes]:
    with closing(http.client.HTTPConnection(_HOST, server.port, timeout=10)) as connection:
        connection.request(method, path, headers={"Connection": "close", **headers})
        response = connection.getresponse()
        return response.status, response.getheader("Content-Type"), response.read()


def test_the_metrics_page_is_what_the_metrics_render(worker: _Worker, server: HealthServer) -> None:
    worker.metrics.transaction("committed")
    status, kind, body = _ask(server, "/metrics?x=y")
    assert (status, kind, body) == (200, "text/plain; version=0.0.4; charset=utf-8", worker.metrics.render())
    assert b'kadence_transactions_total{result="committed"} 1.0\n' in body
    _, kind, body = _ask(server, "/metrics", Accept="application/openmetrics-text")
    assert kind is not None
    assert kind.startswith("application/openmetrics-text")
    assert body.endswith(b"# EOF\n")


def test_live_and_ready_are_asked_each_time_and_say_why_not(worker: _Worker, server: HealthServer) -> None:
    assert _ask(server, "/livez") == (200, "application/json", b'{"status": "ok"}\n')
    worker.not_ready = "shard 3 is not taken over yet"
    status, _, body = _ask(server, "/readyz")
    assert (status, json.loads(body)) == (503, {"status": "unavailable", "reason": worker.not_ready})
    assert _ask(server, "/livez")[0] == 200
    worker.not_live, worker.not_ready = "shard 3 has not ticked for 20 s", None
    assert (_ask(server, "/livez")[0], _ask(server, "/readyz")[0]) == (503, 200)


def test_other_paths_name_those_that_there_are(server: HealthServer) -> None:
    status, _, body = _ask(server, "/healthz")
    assert (status, json.loads(body)) == (404, {"paths": ["/metrics", "/livez", "/readyz"]})
    assert _ask(server, "/metrics", "POST")[0] == 501


def test_one_connection_serves_many_requests_with_and_without_bodies(server: HealthServer) -> None:
    with closing(http.client.HTTPConnection(_HOST, server.port, timeout=10)) as connection:
        for method in ("HEAD", "GET", "HEAD", "GET"):
            connection.request(method, "/livez")
            response = connection.getresponse()
            assert (response.status, response.version, response.getheader("Content-Length")) == (200, 11, "17")
            assert len(response.read()) == (17 if method == "GET" else 0)
        used = connection.sock
        connection.request("GET", "/livez", body=b"GET /oops HTTP/1.1\r\n\r\n")
        assert connection.getresponse().read() == b'{"status": "ok"}\n'
        assert used is not None
        assert connection.sock is None  # a body that nobody read is not taken for the next request


def test_a_port_that_is_taken_gives_way_unless_it_was_chosen(
    worker: _Worker, server: HealthServer, caplog: pytest.LogCaptureFixture
) -> None:
    with pytest.raises(
        ConfigurationError, match=f"port {server.port} is taken; choose another with KADENCE_METRICS_PORT"
    ):
        worker.server(server.port)
    caplog.set_level(logging.INFO)
    other = worker.server(server.port, explicit=False)
    other.start()
    try:
        assert server.port < other.port <= server.port + 100
        assert _ask(other, "/livez")[0] == 200
    finally:
        other.stop()
    [told] = [record for record in caplog.records if "is taken" in record.message]
    assert told.getMessage() == f"port {server.port} is taken, so port {other.port} is used"
    assert told.levelno == logging.INFO


def test_an_address_that_is_not_ours_is_a_configuration_error(worker: _Worker) -> None:
    with pytest.raises(ConfigurationError, match=r"^cannot serve metrics on 192\.0\.2\.1 port 9464: Cannot assign"):
        worker.server(9464, explicit=False, host="192.0.2.1")


@pytest.mark.skipif(not socket.has_ipv6, reason="needs IPv6")
def test_an_ipv6_address_will_do(worker: _Worker) -> None:
    server = worker.server(host="::1")
    server.start()
    try:
        with closing(http.client.HTTPConnection("::1", server.port, timeout=10)) as connection:
            connection.request("GET", "/livez")
            assert connection.getresponse().read() == b'{"status": "ok"}\n'
    finally:
        server.stop()


def test_a_stopped_server_gives_its_port_back_and_stopping_twice_is_fine(worker: _Worker) -> None:
    with _serving(worker) as first:
        pass
    first.stop()
    again = worker.server(first.port)
    again.stop()
    assert again.port == first.port


def test_clients_that_stall_are_let_go_and_keep_nobody_waiting(
    worker: _Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(health._Handler, "timeout", 0.3)
    with _serving(worker) as server, closing(socket.create_connection((_HOST, server.port), 10)) as stalled:
        stalled.sendall(b"GET /livez HT")
        assert _ask(server, "/livez")[0] == 200
        assert stalled.recv(1) == b""


def test_there_are_only_so_many_connections(server: HealthServer, caplog: pytest.LogCaptureFixture) -> None:
    stalled = [socket.create_connection((_HOST, server.port), 10) for _ in range(health._MAX_CONNECTIONS + 1)]
    try:
        assert stalled[-1].recv(1) == b""
        assert "64 connections are open already" in caplog.text
    finally:
        for connection in stalled:
            connection.close()


def test_a_page_that_fails_is_logged_and_the_server_lives_on(worker: _Worker, caplog: pytest.LogCaptureFixture) -> None:
    def fail() -> str:
        raise ValueError("broken on purpose")

    failing = HealthServer(_HOST, 0, True, worker.metrics, fail, worker.ready)  # noqa: FBT003  as the worker calls it
    failing.start()
    try:
        with pytest.raises(http.client.RemoteDisconnected):
            _ask(failing, "/livez")
        assert _ask(failing, "/readyz")[0] == 200
    finally:
        failing.stop()
    assert "broken on purpose" in caplog.text


class _Records(logging.Handler):
    """Keeps what is logged, and says when there is something."""

    def __init__(self) -> None:
        super().__init__()
        self.levels: list[int] = []
        self.arrived = threading.Event()

    @override
    def emit(self, record: logging.LogRecord) -> None:
        if "was not answered" in record.getMessage():
            self.levels.append(record.levelno)
            self.arrived.set()


@pytest.fixture
def records() -> Iterator[_Records]:
    logger, handler = logging.getLogger("kadence.health"), _Records()
    before = logger.level
    logger.addHandler(handler)
    logger.setLevel(logging.DEBUG)
    yield handler
    logger.removeHandler(handler)
    logger.setLevel(before)


def test_a_client_that_leaves_early_is_no_news(worker: _Worker, records: _Records) -> None:
    asked, left = threading.Event(), threading.Event()

    def slow() -> str | None:
        asked.set()
        assert left.wait(10)
        return "x" * 10_000_000

    server = HealthServer(_HOST, 0, True, worker.metrics, worker.live, slow)  # noqa: FBT003  as the worker calls it
    server.start()
    try:
        connection = socket.create_connection((_HOST, server.port), 10)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")  # close with a reset
        connection.sendall(b"GET /readyz HTTP/1.1\r\n\r\n")
        assert asked.wait(10)
        connection.close()
        left.set()
        assert records.arrived.wait(10)
        assert _ask(server, "/livez")[0] == 200
    finally:
        server.stop()
    assert records.levels == [logging.DEBUG]
