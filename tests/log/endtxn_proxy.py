"""A TCP proxy in front of a broker that can hold back, or lose, what decides a transaction.

It understands just enough of the Kafka protocol: frames with a length in front, the API key and correlation
id of a request, the correlation id of an answer. It rewrites nothing; the broker advertises the proxy's port
on a listener of its own.
"""

from __future__ import annotations

import socket
import struct
import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Self

from tests.log.bench import WAIT_S, Trouble

if TYPE_CHECKING:
    from collections.abc import Callable

_END_TXN: Final = 26
_LENGTH: Final = struct.Struct(">i")
_REQUEST: Final = struct.Struct(">hhi")  # API key, version, correlation id
_ANSWER: Final = struct.Struct(">i")  # correlation id


@dataclass(slots=True, eq=False)
class _Connection:
    """A client's connection and the one to the broker that goes with it."""

    client: socket.socket
    broker: socket.socket
    withheld: dict[int, threading.Event] = field(default_factory=dict)
    """Answers that the client is not to get, each with what is set when it comes."""


class EndTxnProxy:
    """``with EndTxnProxy(port, broker_port) as proxy: proxy.trouble = Trouble.REQUEST_HELD``."""

    def __init__(self, port: int, broker_port: int) -> None:
        self.trouble = Trouble.NONE
        self._address = ("127.0.0.1", broker_port)
        self._server = socket.create_server(("127.0.0.1", port))
        self._held: list[tuple[_Connection, bytes]] = []
        self._sockets: list[socket.socket] = [self._server]
        self._threads: list[threading.Thread] = []

    def __enter__(self) -> Self:
        self._spawn(self._accept)
        return self

    def __exit__(self, *_: object) -> None:
        for end in self._sockets:
            _shut(end)
        for thread in self._threads:
            thread.join(WAIT_S)
        for end in self._sockets:
            end.close()

    def deliver(self) -> int:
        """Send on what was held back, return once each request is answered; how many there were."""
        self.trouble = Trouble.NONE
        held, self._held = self._held, []
        for connection, frame in held:
            answered = connection.withheld[_correlation(frame)]
            connection.broker.sendall(_LENGTH.pack(len(frame)) + frame)
            assert answered.wait(WAIT_S), "the broker did not answer a late EndTxn"
        return len(held)

    def _spawn(self, run: Callable[[], None]) -> None:
        thread = threading.Thread(target=run, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._server.accept()
            except OSError:
                return
            connection = _Connection(client, socket.create_connection(self._address))
            self._sockets += [connection.client, connection.broker]
            self._spawn(lambda connection=connection: self._requests(connection))  # type: ignore[misc]
            self._spawn(lambda connection=connection: self._answers(connection))  # type: ignore[misc]

    def _requests(self, connection: _Connection) -> None:
        while (frame := _read(connection.client)) is not None:
            if self._passes(connection, frame):
                _write(connection.broker, frame)
        if not connection.withheld:  # else the broker is still to get, or to answer, what was held back
            _shut(connection.broker)

    def _passes(self, connection: _Connection, frame: bytes) -> bool:
        if _REQUEST.unpack_from(frame)[0] != _END_TXN or self.trouble is Trouble.NONE:
            return True
        if self.trouble is Trouble.REQUEST_LOST:
            return False
        connection.withheld[_correlation(frame)] = threading.Event()
        if self.trouble is Trouble.REQUEST_HELD:
            self._held.append((connection, frame))
            return False
        return True

    def _answers(self, connection: _Connection) -> None:
        while (frame := _read(connection.broker)) is not None:
            withheld = connection.withheld.get(_ANSWER.unpack_from(frame)[0])
            if withheld is None:
                _write(connection.client, frame)
            else:
                withheld.set()
        _shut(connection.client)


def _correlation(frame: bytes) -> int:
    return int(_REQUEST.unpack_from(frame)[2])


def _read(end: socket.socket) -> bytes | None:
    """The next frame without its length, None at the end."""
    head = _read_exactly(end, _LENGTH.size)
    return None if head is None else _read_exactly(end, _LENGTH.unpack(head)[0])


def _read_exactly(end: socket.socket, size: int) -> bytes | None:
    data = b""
    while len(data) < size:
        try:
            piece = end.recv(size - len(data))
        except OSError:
            return None
        if not piece:
            return None
        data += piece
    return data


def _write(end: socket.socket, frame: bytes) -> None:
    try:
        end.sendall(_LENGTH.pack(len(frame)) + frame)
    except OSError:
        _shut(end)  # the reader of the other direction notices


def _shut(end: socket.socket) -> None:
    try:
        end.shutdown(socket.SHUT_RDWR)
    except OSError:
        return  # it is gone already
