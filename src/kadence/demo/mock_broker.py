"""A Kafka broker inside this process, for the demo: librdkafka's own mock cluster, reached through ctypes.

The library is the one inside the confluent-kafka wheel, so nothing else needs to be installed. Its C
interface is declared in librdkafka's ``rdkafka.h`` and ``rdkafka_mock.h``.

What this broker is not, measured on librdkafka 2.16: it keeps records in memory only (about 5 MiB for each
partition, then the oldest go) and compacts nothing; an open or aborted transaction's records are visible to
``read_committed`` readers; a second producer with the same transactional id does not fence the first; every
delivery report says 1234 ms as broker time; requests to create or describe topics are never answered. It may
serve a demo and never a test of transactions.
"""

from __future__ import annotations

import ctypes
import ctypes.util
import re
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Final, Self

from kadence.errors import ConfigurationError

if TYPE_CHECKING:
    from types import TracebackType

EMBEDDED_BROKER: Final = "kadence-demo-broker"
"""A topic that the demo puts on this broker as a sign, since nothing else tells it from a real one that is slow."""

# Where wheel repair tools put the library: auditwheel and delvewheel beside the package, delocate inside it.
_PLACES: Final = (
    ("../confluent_kafka.libs", "librdkafka*.so*"),
    ("../confluent_kafka.libs", "librdkafka*.dll"),
    (".dylibs", "librdkafka*.dylib"),
)
_TOPIC_NAME: Final = re.compile(r"[A-Za-z0-9._-]{1,249}")
_RD_KAFKA_PRODUCER: Final = 0
_RD_KAFKA_CONF_OK: Final = 0
_ERROR_TEXT_BYTES: Final = 512
_LOG_ERRORS_ONLY: Final = b"3"  # syslog level: the host client has no broker of its own and would say so


class MockBroker:
    """One mock broker on a free loopback port, from construction until ``close``.

    Use it as a context manager. Clients of any kind and process may connect to ``bootstrap_servers``
    meanwhile; after ``close`` their connections are refused.

    Raises:
        ConfigurationError: the library cannot be found or loaded, or no cluster could be started.

    """

    __slots__ = ("_client", "_cluster", "_library", "bootstrap_servers")

    bootstrap_servers: Final[str]
    """``host:port``, ready for any Kafka client's setting of that name."""

    def __init__(self) -> None:
        library = _load(find_library())
        self._library = library
        self._client: int | None = _new_client(library)
        self._cluster: int | None = library.rd_kafka_mock_cluster_new(self._client, 1)
        if self._cluster is None:
            library.rd_kafka_destroy(self._client)
            self._client = None
            raise ConfigurationError(
                "librdkafka could not start its mock broker; use a real one: --bootstrap-servers HOST:PORT"
            )
        # The default of 3 s would be most of the time to the demo's first execution.
        library.rd_kafka_mock_group_initial_rebalance_delay_ms(self._cluster, 0)
        self.bootstrap_servers = library.rd_kafka_mock_cluster_bootstraps(self._cluster).decode("ascii")

    def create_topic(self, name: str, partitions: int) -> None:
        """Create topic ``name`` with exactly ``partitions`` partitions (at least 1) and one replica of each.

        Clients asking for a topic that does not exist create it with 4 partitions, so create topics first.

        Raises:
            ConfigurationError: the name is not one Kafka allows, the topic exists, or the broker is closed.

        """
        if self._cluster is None:
            raise ConfigurationError(f"topic {name} cannot be created: this mock broker is closed")
        if _TOPIC_NAME.fullmatch(name) is None:
            raise ConfigurationError(f"{name!r} is not a topic name: 1 to 249 of letters, digits, '.', '_' and '-'")
        if partitions < 1:
            raise ConfigurationError(f"topic {name} needs at least 1 partition, not {partitions}")
        code = self._library.rd_kafka_mock_topic_create(self._cluster, name.encode("ascii"), partitions, 1)
        if code != 0:
            reason = self._library.rd_kafka_err2str(code).decode("utf-8", "replace")
            raise ConfigurationError(f"the mock broker did not create topic {name}: {reason}")

    def close(self) -> None:
        """Stop the broker and forget its records. A second call does nothing."""
        cluster, self._cluster = self._cluster, None
        if cluster is not None:
            self._library.rd_kafka_mock_cluster_destroy(cluster)
        client, self._client = self._client, None
        if client is not None:
            self._library.rd_kafka_destroy(client)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def find_library() -> Path | str:
    """Return the librdkafka that confluent-kafka uses: a file of its wheel, else the system's by name.

    The package is looked up, not imported: only ``kadence.log`` imports it.

    Raises:
        ConfigurationError: there is none.

    """
    spec = find_spec("confluent_kafka")
    if spec is None or not spec.submodule_search_locations:
        raise ConfigurationError("the mock broker needs confluent-kafka; install kadence with its dependencies")
    for package in map(Path, spec.submodule_search_locations):
        for folder, pattern in _PLACES:
            found = sorted(_c_libraries(package / folder, pattern))
            if found:
                return found[0].resolve()
    # confluent-kafka was built from source: it uses whatever the system has.
    system = ctypes.util.find_library("rdkafka")
    if system is None:
        msg = (
            "no librdkafka was found beside confluent-kafka or on this system; install confluent-kafka "
            "as a wheel, or use a real broker: --bootstrap-servers HOST:PORT"
        )
        raise ConfigurationError(msg)
    return system


def _c_libraries(folder: Path, pattern: str) -> list[Path]:
    """Files of ``folder`` that match, without librdkafka++ (the C++ wrapper has none of these functions)."""
    return [file for file in folder.glob(pattern) if not file.name.startswith("librdkafka++")]


def _load(path: Path | str) -> ctypes.CDLL:
    """Load the library at ``path`` and declare the functions used, or say which one it lacks."""
    pointer, text, number = ctypes.c_void_p, ctypes.c_char_p, ctypes.c_int
    signatures: dict[str, tuple[type | None, tuple[type, ...]]] = {
        "rd_kafka_conf_new": (pointer, ()),
        "rd_kafka_conf_set": (number, (pointer, text, text, text, ctypes.c_size_t)),
        "rd_kafka_conf_destroy": (None, (pointer,)),
        "rd_kafka_new": (pointer, (number, pointer, text, ctypes.c_size_t)),
        "rd_kafka_destroy": (None, (pointer,)),
        "rd_kafka_err2str": (text, (number,)),
        "rd_kafka_mock_cluster_new": (pointer, (pointer, number)),
        "rd_kafka_mock_cluster_destroy": (None, (pointer,)),
        "rd_kafka_mock_cluster_bootstraps": (text, (pointer,)),
        "rd_kafka_mock_group_initial_rebalance_delay_ms": (None, (pointer, ctypes.c_int32)),
        "rd_kafka_mock_topic_create": (number, (pointer, text, number, number)),
    }
    try:
        library = ctypes.CDLL(str(path))
        for name, (result, arguments) in signatures.items():
            function = getattr(library, name)
            function.restype = result
            function.argtypes = arguments
    except (OSError, AttributeError) as error:
        msg = (
            f"the mock broker cannot use {Path(path).name}: {error}; update confluent-kafka, "
            "or use a real broker: --bootstrap-servers HOST:PORT"
        )
        raise ConfigurationError(msg) from error
    return library


def _new_client(library: ctypes.CDLL) -> int:
    """Make the client handle that a mock cluster lives in; it connects to nothing."""
    text = ctypes.create_string_buffer(_ERROR_TEXT_BYTES)
    conf = library.rd_kafka_conf_new()
    client: int | None = None
    if library.rd_kafka_conf_set(conf, b"log_level", _LOG_ERRORS_ONLY, text, len(text)) == _RD_KAFKA_CONF_OK:
        client = library.rd_kafka_new(_RD_KAFKA_PRODUCER, conf, text, len(text))
    if client is None:
        library.rd_kafka_conf_destroy(conf)  # a client that came to be would own it
        raise ConfigurationError(f"librdkafka could not start its mock broker: {text.value.decode('utf-8', 'replace')}")
    return client
