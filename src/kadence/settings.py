"""Settings of one kadence process. The only reader of the environment and of the configuration file.

By precedence: arguments, ``KADENCE_*`` variables, the TOML file (``--config`` or ``KADENCE_CONFIG``), defaults.
A variable that is set to nothing counts as not set. Nothing in here changes what a record means.

Any librdkafka property (its CONFIGURATION.md) can be given: in the file under ``[kafka]``, in the environment as
``KADENCE_KAFKA_SASL_PASSWORD`` for ``sasl.password``, or as ``KADENCE_KAFKA_SASL_PASSWORD_FILE``, the name of a file
that holds the value, as Docker and Kubernetes mount secrets.
"""

from __future__ import annotations

import difflib
import os
import re
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal, Self

from pydantic import (
    BeforeValidator,
    Field,
    ModelWrapValidatorHandler,
    ValidationError,
    field_serializer,
    field_validator,
    model_validator,
)
from pydantic_settings import BaseSettings, InitSettingsSource, NoDecode, PydanticBaseSettingsSource, SettingsConfigDict
from typing_extensions import override

from kadence.errors import SettingsError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

DEFAULT_METRICS_PORT: Final = 9464
_PREFIX: Final = "KADENCE_"
_KAFKA_PREFIX: Final = "KADENCE_KAFKA_"
_FILE_SUFFIX: Final = "_FILE"

# librdkafka spells its properties with dots. These are all that a string can be given to and that do not follow:
# they have an underscore, or end in what would otherwise ask for a file's content.
_SPELT_OTHERWISE: Final[Mapping[str, str]] = {
    "ENABLED_EVENTS": "enabled_events",
    "LOG_LEVEL": "log_level",
    "SASL_OAUTHBEARER_ASSERTION_FILE": "sasl.oauthbearer.assertion.file",
    "SASL_OAUTHBEARER_ASSERTION_JWT_TEMPLATE_FILE": "sasl.oauthbearer.assertion.jwt.template.file",
    "SASL_OAUTHBEARER_ASSERTION_PRIVATE_KEY_FILE": "sasl.oauthbearer.assertion.private.key.file",
}

# Kubernetes describes every service to every container: one that is called "kadence", "kadence-kafka" or
# "kadence-metrics" makes variables that look like ours. https://kubernetes.io/docs/concepts/services-networking/service/
_SERVICE_LINK: Final = re.compile(r"(?:.*_)?(?:SERVICE_HOST|SERVICE_PORT(?:_.*)?|PORT_\d+_(?:TCP|UDP|SCTP).*)")
_SERVICE_ADDRESS: Final = re.compile(r"(?:tcp|udp|sctp)://")

# A protocol in front overrides security.protocol, without a port it is 9092 (librdkafka's rd_kafka_brokers_add).
_ADDRESS: Final = re.compile(r"(?:[A-Za-z_]+://)?(?:[\w.-]+|\[[0-9A-Fa-f:.%]+\])(?::(?P<port>[0-9]{1,5}))?", re.ASCII)
_MAX_PORT: Final = 65_535

_SECRET: Final = re.compile(r"password|passphrase|secret|token|credential|assertion|key|pem|jaas|oauthbearer\.config")
_MASK: Final = "***"


def are_addresses(text: str) -> bool:
    """Whether librdkafka could connect to these: hosts, or IPv6 addresses in brackets, with or without a port."""
    found = [_ADDRESS.fullmatch(part.strip()) for part in text.split(",") if part.strip()]
    return bool(found) and all(
        one is not None and (one["port"] is None or 0 < int(one["port"]) <= _MAX_PORT) for one in found
    )


def mask(properties: Mapping[str, str]) -> dict[str, str]:
    """The same librdkafka properties, with the values of all that may be secret replaced."""
    return {name: _MASK if _SECRET.search(name.lower()) else value for name, value in properties.items()}


def secret_values(properties: Mapping[str, str]) -> list[str]:
    """The values of all librdkafka properties that may be secret, for taking them out of other texts."""
    return [value for name, value in properties.items() if _SECRET.search(name.lower())]


def _flat(table: Mapping[str, object], prefix: str = "") -> Iterator[tuple[str, str]]:
    """(property, value) pairs; ``sasl.password = "x"`` without quotes round the key is a table within a table."""
    for key, value in table.items():
        name = prefix + key
        if isinstance(value, dict):
            yield from _flat(value, f"{name}.")
        elif isinstance(value, bool):
            yield name, str(value).lower()
        elif isinstance(value, (str, int, float)):
            yield name, str(value)
        else:
            raise SettingsError(f"the Kafka property {name} takes a text, a number, true or false")


def _kafka_properties(value: object) -> dict[str, str]:
    if not isinstance(value, dict):
        raise SettingsError(
            f"the setting kafka takes a table of librdkafka properties; in the environment each has a variable, "
            f"as {_KAFKA_PREFIX}SASL_PASSWORD for sasl.password"
        )
    return dict(_flat(value))


def _is_service_link(variable: str, value: str) -> bool:
    return _SERVICE_LINK.fullmatch(variable) is not None or _SERVICE_ADDRESS.match(value) is not None


def _lower(value: object) -> object:
    return value.lower() if isinstance(value, str) else value


class Settings(BaseSettings):
    """What one process is told. Frozen; made by `load`, or by its constructor for a process that embeds kadence.

    Raises `SettingsError` for anything that is not as the descriptions of the fields say. Secrets are in
    ``kafka`` only, and masked wherever the settings are printed or dumped.
    """

    model_config = SettingsConfigDict(
        env_prefix=_PREFIX,
        env_ignore_empty=True,
        extra="forbid",
        frozen=True,
        hide_input_in_errors=True,
    )

    config: Path | None = Field(default=None, description="the path of a TOML file")
    bootstrap_servers: str = Field(
        default="localhost:9092",
        min_length=1,
        description="host:port with a port from 1 to 65535, or several with ',' between",
    )
    namespace: str = Field(
        default="kadence",
        pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,199}$",
        description="letters, digits, '.', '_' and '-', a letter or digit first, at most 200",
    )
    """Topics, groups and transactional ids begin with it and a dot."""
    shards: int = Field(default=12, ge=1, le=10_000, description="a whole number from 1 to 10000")
    """Partitions of ``<namespace>.state``; read by ``topics init`` only, afterwards the topic itself says it."""
    replication: int = Field(
        default=-1, ge=-1, le=1_000, description="a number of replicas, or -1 for 3, or one a broker"
    )
    create_topics: bool = Field(default=False, description="true or false")
    """Whether a worker creates the topics that are missing."""
    # Probes and scrapers come from another host or another network namespace than the worker's; on loopback they
    # find nothing, and a container is restarted for it. The pages are read-only and show no payload and no secret.
    metrics_host: str = Field(default="0.0.0.0", min_length=1, description="an address of this host, 0.0.0.0 or ::")  # noqa: S104
    metrics_port: int = Field(
        default=DEFAULT_METRICS_PORT, ge=0, le=65_535, description="a port, 0 for any that is free"
    )
    worker_id: str | None = Field(
        default=None, pattern=r"^[!-~]{1,200}$", description="1 to 200 visible ASCII characters"
    )
    """Names this process to people: in the cursor, events and the broker's logs. None: the worker makes one up."""
    log_format: Annotated[Literal["text", "json"], BeforeValidator(_lower)] = Field(
        default="text", description="text or json"
    )
    log_level: Annotated[Literal["debug", "info", "warning", "error"], BeforeValidator(_lower)] = Field(
        default="info", description="debug, info, warning or error"
    )
    max_transaction: int = Field(
        default=10_000, ge=1, le=1_000_000, description="a number of executions from 1 to 1000000"
    )
    """Executions in one transaction at most. A larger burst is a run of transactions."""
    executor_concurrency: int = Field(default=100, ge=1, le=100_000, description="a number of runs from 1 to 100000")
    """Handlers with ``async def`` that an executor has at work at a time."""
    executor_threads: int = Field(default=10, ge=1, le=1_000, description="a number of threads from 1 to 1000")
    """Handlers that are plain functions, which an executor has at work at a time."""
    executor_drain: float = Field(default=20.0, ge=0, le=86_400, description="seconds from 0 to 86400")
    """Seconds that running handlers have to finish after SIGTERM.

    Ending takes 3 s more at most; Kubernetes sends SIGKILL after 30.
    """
    executor_handover: float = Field(default=5.0, ge=0, le=25, description="seconds from 0 to 25")
    """Seconds that they have where their partition goes to another executor. The group waits as long."""
    kafka: Annotated[dict[str, str], NoDecode] = Field(default_factory=dict, description="librdkafka properties")

    @classmethod
    def load(cls, config: Path | None = None, **overrides: Any) -> Self:
        """The settings of this process; ``config`` is the file named on the command line.

        ``overrides`` win over everything; one that is None was not given. Raises `SettingsError`.
        """
        given = {name: value for name, value in {"config": config, **overrides}.items() if value is not None}
        return cls(**given)

    @property
    def metrics_port_explicit(self) -> bool:
        """Whether somebody chose the port: then it must be free. The default gives way to the next free one."""
        return "metrics_port" in self.model_fields_set

    def describe(self) -> str:
        """One line for the log of a process that starts; without secrets."""
        values = self.model_dump(exclude_none=True, exclude={"kafka"})
        shown = [f"{name}={value}" for name, value in values.items()]
        return " ".join([*shown, *(f"{name}={value}" for name, value in mask(self.kafka).items())])

    @staticmethod
    def unknown_environment() -> list[str]:
        """One sentence for each ``KADENCE_*`` variable that is no setting: a typo, most likely."""
        known = [_PREFIX + name.upper() for name in Settings.model_fields]
        return [
            f"the environment variable {name} is no setting of kadence{_nearest(name.upper(), known)}"
            for name in sorted(os.environ)
            if (upper := name.upper()).startswith(_PREFIX)
            and upper not in known
            and not upper.startswith(_KAFKA_PREFIX)
            and not _is_service_link(upper, os.environ[name])
        ]

    @classmethod
    @override
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """pydantic-settings' hook: the sources, the first of which wins."""
        path = init_settings().get("config") or env_settings().get("config")
        return (
            init_settings,
            env_settings,
            InitSettingsSource(settings_cls, {"kafka": _kafka_environment(os.environ)}),
            InitSettingsSource(settings_cls, _read_file(Path(path)) if path else {}),
        )

    @model_validator(mode="wrap")
    @classmethod
    def _explained(cls, values: dict[str, Any], handler: ModelWrapValidatorHandler[Self]) -> Self:
        if _SERVICE_ADDRESS.match(str(values.get("metrics_port"))):
            values = {name: value for name, value in values.items() if name != "metrics_port"}
        try:
            return handler(values)
        except ValidationError as error:
            raise SettingsError(_explain(error)) from None

    @field_validator("bootstrap_servers")
    @classmethod
    def _addresses(cls, value: str) -> str:
        if not are_addresses(value):
            raise ValueError("an address is malformed")
        return value

    @field_validator("replication")
    @classmethod
    def _some_replicas(cls, value: int) -> int:
        if value == 0:
            raise ValueError("no replica holds nothing")
        return value

    @field_validator("kafka", mode="before")
    @classmethod
    def _properties(cls, value: object) -> dict[str, str]:
        return _kafka_properties(value)

    @field_serializer("kafka")
    def _masked(self, value: dict[str, str]) -> dict[str, str]:
        return mask(value)

    @override
    def __repr_args__(self) -> Iterable[tuple[str | None, Any]]:
        for name, value in super().__repr_args__():
            yield name, mask(self.kafka) if name == "kafka" else value


def _explain(error: ValidationError) -> str:
    """The first thing that is wrong, as one sentence."""
    wrong = error.errors(include_url=False, include_context=False)[0]
    name = str(wrong["loc"][0]) if wrong["loc"] else ""
    field = Settings.model_fields.get(name)
    if field is None:
        return f"there is no setting {name}{_nearest(name, Settings.model_fields)}"
    return (
        f"the setting {name} ({_PREFIX}{name.upper()}) cannot be {wrong['input']!r:.80}: it takes {field.description}"
    )


def _nearest(name: str, known: Iterable[str]) -> str:
    near = difflib.get_close_matches(name, list(known), n=1, cutoff=0.5)
    return f"; did you mean {near[0]}?" if near else ""


def _read_file(path: Path) -> dict[str, Any]:
    try:
        values = tomllib.loads(path.read_text("utf-8"))
    except OSError as error:
        raise SettingsError(f"the configuration file {path} cannot be read: {error.strerror}") from None
    except ValueError as error:
        raise SettingsError(f"the configuration file {path} is no TOML: {error}") from None
    known = [name for name in Settings.model_fields if name != "config"]
    for name in values:
        if name not in known:
            raise SettingsError(f"there is no setting {name}, which {path} gives{_nearest(name, known)}")
    if "kafka" in values:
        values["kafka"] = _kafka_properties(values["kafka"])
    return values


def _kafka_environment(environment: Mapping[str, str]) -> dict[str, str]:
    """The librdkafka properties that variables give, by their own names."""
    found: dict[str, str] = {}
    for variable, value in environment.items():
        upper = variable.upper()
        if not value or not upper.startswith(_KAFKA_PREFIX) or _is_service_link(upper, value):
            continue
        rest = upper.removeprefix(_KAFKA_PREFIX)
        from_file = rest.endswith(_FILE_SUFFIX) and rest not in _SPELT_OTHERWISE
        rest = rest.removesuffix(_FILE_SUFFIX) if from_file else rest
        name = _SPELT_OTHERWISE.get(rest, rest.lower().replace("_", "."))
        if name in found:
            raise SettingsError(f"the Kafka property {name} is given by two variables; unset {variable} or the other")
        found[name] = _content(variable, Path(value)) if from_file else value
    return found


def _content(variable: str, path: Path) -> str:
    """The content of a file that a variable names, less the line end that editors leave."""
    try:
        return path.read_text("utf-8").rstrip("\r\n")
    except OSError as error:
        raise SettingsError(f"{variable} names {path}, which cannot be read: {error.strerror}") from None
    except ValueError:
        raise SettingsError(f"{variable} names {path}, which is no UTF-8 text") from None
