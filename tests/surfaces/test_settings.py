"""Where settings come from, which source wins, and what is never printed."""

from __future__ import annotations

import ctypes
import importlib.util
import os
import re
from pathlib import Path

import pytest
from pydantic import ValidationError

from kadence.errors import ConfigurationError
from kadence.settings import Settings, are_addresses

_ROOT = Path(__file__).parents[2]
_PASSWORD = "hunter2-never-shown"


@pytest.fixture(autouse=True)
def _no_settings_of_this_desk(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in os.environ:
        if name.upper().startswith("KADENCE_"):
            monkeypatch.delenv(name)


def _file(folder: Path, text: str) -> Path:
    path = folder / "kadence.toml"
    path.write_text(text, "utf-8")
    return path


def test_the_defaults_are_those_of_a_desk() -> None:
    settings = Settings.load()
    assert (settings.bootstrap_servers, settings.namespace, settings.shards) == ("localhost:9092", "kadence", 12)
    assert (settings.metrics_port, settings.metrics_port_explicit) == (9464, False)
    assert (settings.create_topics, settings.replication, settings.worker_id) == (False, -1, None)
    assert (settings.log_format, settings.log_level, settings.max_transaction) == ("text", "info", 10_000)
    assert settings.kafka == {}


def test_the_file_in_config_loads() -> None:
    settings = Settings.load(_ROOT / "config" / "kadence.toml")
    assert (settings.namespace, settings.metrics_port_explicit, settings.kafka) == ("kadence", True, {})


def test_the_file_in_config_shows_the_defaults() -> None:
    shown = Settings.load(_ROOT / "config" / "kadence.toml").model_dump(exclude={"config"})
    assert shown == Settings.load().model_dump(exclude={"config"})


def test_arguments_win_over_the_environment_and_that_over_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = _file(tmp_path, 'namespace = "file"\nshards = 3\nlog_level = "error"\n[kafka]\n"a.b" = 1\n"c.d" = true\n')
    monkeypatch.setenv("KADENCE_NAMESPACE", "environment")
    monkeypatch.setenv("KADENCE_SHARDS", "4")
    monkeypatch.setenv("KADENCE_KAFKA_A_B", "2")
    settings = Settings.load(path, namespace="argument", metrics_port=None)
    assert (settings.namespace, settings.shards, settings.log_level) == ("argument", 4, "error")
    assert settings.kafka == {"a.b": "2", "c.d": "true"}


def test_the_environment_can_name_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KADENCE_CONFIG", str(_file(tmp_path, 'namespace = "file"\n')))
    assert Settings().namespace == "file"


def test_a_variable_set_to_nothing_is_not_set(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("KADENCE_METRICS_PORT", "KADENCE_CONFIG", "KADENCE_KAFKA_SASL_PASSWORD"):
        monkeypatch.setenv(name, "")
    settings = Settings.load()
    assert (settings.metrics_port_explicit, settings.config, settings.kafka) == (False, None, {})


def test_the_default_port_set_on_purpose_is_explicit(monkeypatch: pytest.MonkeyPatch) -> None:
    assert Settings(metrics_port=9464).metrics_port_explicit
    monkeypatch.setenv("KADENCE_METRICS_PORT", "9464")
    assert Settings.load().metrics_port_explicit


@pytest.mark.parametrize(
    ("servers", "taken"),
    [
        ("localhost:9092", True),
        ("b-1.kafka:9092, b-2.kafka:9092", True),
        ("broker", True),
        ("a:1,", True),
        ("[::1]:9092", True),
        ("SASL_SSL://kafka.example.com:9093", True),
        ("host:0", False),
        ("host:65536", False),
        ("host:", False),
        ("a b:1", False),
        (",", False),
        (" ", False),
        ("::1:9092", False),
    ],
)
def test_addresses_are_looked_at_before_anybody_waits_for_them(servers: str, *, taken: bool) -> None:
    assert are_addresses(servers) is taken


def test_unquoted_keys_in_the_kafka_table_mean_the_same(tmp_path: Path) -> None:
    path = _file(
        tmp_path, "[kafka]\nsasl.mechanism = 'PLAIN'\nsocket.timeout.ms = 5000\nsocket.keepalive.enable = false\n"
    )
    assert Settings.load(path).kafka == {
        "sasl.mechanism": "PLAIN",
        "socket.timeout.ms": "5000",
        "socket.keepalive.enable": "false",
    }


# --- the environment's spelling of librdkafka's properties ---------------------------------------------------


def _properties_of_the_library(listing: Path) -> set[str]:
    """Every property that the installed librdkafka takes a text for, as it lists them itself."""
    spec = importlib.util.find_spec("confluent_kafka")
    assert spec is not None
    assert spec.origin is not None
    [library] = Path(spec.origin).parents[1].glob("confluent_kafka.libs/librdkafka*")
    rdkafka, libc = ctypes.CDLL(str(library)), ctypes.CDLL(None)
    libc.fopen.restype = ctypes.c_void_p
    file = ctypes.c_void_p(libc.fopen(os.fsencode(listing), b"w"))
    rdkafka.rd_kafka_conf_properties_show(file)
    libc.fclose(file)
    rows = [[cell.strip() for cell in line.split("|")] for line in listing.read_text("utf-8").splitlines()]
    typed = [row[0] for row in rows if re.fullmatch(r"[a-z][a-z._]+", row[0]) and len(row) > 2]
    return {name for name in typed if not name.endswith("_cb")}


def test_every_property_of_the_library_has_a_variable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    properties = _properties_of_the_library(tmp_path / "properties")
    # Pointers to C structures: no text can be given for these.
    pointers = {"default_topic_conf", "interceptors", "opaque", "msg_order_cmp"}
    pointers |= {"ssl_ca", "ssl_certificate", "ssl_key", "ssl_engine_callback_data"}
    wanted = properties - pointers
    assert {"sasl.password", "log_level", "sasl.oauthbearer.assertion.file", "ssl.ca.location"} <= wanted
    for name in wanted:
        monkeypatch.setenv("KADENCE_KAFKA_" + name.upper().replace(".", "_"), f"the {name}")
    assert Settings.load().kafka == {name: f"the {name}" for name in wanted}


def test_a_secret_can_be_in_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    secret = tmp_path / "secret"
    secret.write_text(f" {_PASSWORD} \n", "utf-8")
    monkeypatch.setenv("KADENCE_KAFKA_SASL_PASSWORD_FILE", str(secret))
    monkeypatch.setenv("KADENCE_KAFKA_SASL_OAUTHBEARER_ASSERTION_PRIVATE_KEY_FILE", "/key.pem")
    assert Settings.load().kafka == {
        "sasl.password": f" {_PASSWORD} ",
        "sasl.oauthbearer.assertion.private.key.file": "/key.pem",
    }


def test_a_secret_given_twice_or_not_readable_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KADENCE_KAFKA_SASL_PASSWORD_FILE", str(tmp_path / "missing"))
    with pytest.raises(ConfigurationError, match=r"SASL_PASSWORD_FILE names .*missing, which cannot be read: No such"):
        Settings.load()
    (tmp_path / "missing").write_text(_PASSWORD, "utf-8")
    monkeypatch.setenv("KADENCE_KAFKA_SASL_PASSWORD", "other")
    with pytest.raises(ConfigurationError, match=r"sasl\.password is given by two variables; unset KADENCE_"):
        Settings.load()


def test_what_kubernetes_says_of_services_with_our_names_is_no_setting(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("KADENCE", "KADENCE_KAFKA", "KADENCE_METRICS"):
        monkeypatch.setenv(f"{name}_SERVICE_HOST", "10.0.0.1")
        monkeypatch.setenv(f"{name}_SERVICE_PORT", "9464")
        monkeypatch.setenv(f"{name}_SERVICE_PORT_METRICS", "9464")
        monkeypatch.setenv(f"{name}_PORT", "tcp://10.0.0.1:9464")
        monkeypatch.setenv(f"{name}_PORT_9464_TCP", "tcp://10.0.0.1:9464")
        monkeypatch.setenv(f"{name}_PORT_9464_TCP_ADDR", "10.0.0.1")
    settings = Settings.load()
    assert (settings.metrics_port, settings.metrics_port_explicit, settings.kafka) == (9464, False, {})
    assert Settings.unknown_environment() == []


# --- secrets -------------------------------------------------------------------------------------------------

_SECRETS = [
    "sasl.password",
    "ssl.key.password",
    "ssl.key.pem",
    "ssl.keystore.password",
    "sasl.oauthbearer.client.secret",
    "sasl.oauthbearer.client.credentials.client.secret",
    "sasl.oauthbearer.assertion.private.key.passphrase",
    "sasl.oauthbearer.assertion.private.key.pem",
    "sasl.oauthbearer.config",
]


@pytest.mark.parametrize("name", _SECRETS)
def test_no_way_of_printing_settings_shows_a_secret(name: str) -> None:
    settings = Settings(kafka={name: _PASSWORD, "sasl.username": "ada"})
    assert settings.kafka[name] == _PASSWORD
    shown = [str(settings), repr(settings), f"{settings}", settings.describe(), settings.model_dump_json()]
    shown += [str(settings.model_dump()), repr(settings.model_copy())]
    assert [text for text in shown if _PASSWORD in text] == []
    assert all("ada" in text for text in shown)


def test_describe_is_one_line_that_says_where_we_are() -> None:
    text = Settings(namespace="billing", kafka={"sasl.password": _PASSWORD}).describe()
    assert "bootstrap_servers=localhost:9092 namespace=billing" in text
    assert "sasl.password=***" in text
    assert "\n" not in text


# --- what is wrong, in one sentence --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "metric_port = 1\n",
            r"^there is no setting metric_port, which .*\.toml gives; did you mean metrics_port\?$",
        ),
        ("config = 'other.toml'\n", r"^there is no setting config, which"),
        ("namespace = \n", r"^the configuration file .*kadence\.toml is no TOML: "),
        (
            "shards = 0\n",
            r"^the setting shards \(KADENCE_SHARDS\) cannot be 0: it takes a whole number from 1 to",
        ),
        ("namespace = 'a b'\n", r"cannot be 'a b': it takes letters, digits"),
        ("namespace = '..'\n", r"cannot be '\.\.': it takes letters, digits"),
        ("metrics_port = 70000\n", r"cannot be 70000: it takes a port, 0 for any that is free$"),
        (
            "replication = 0\n",
            r"cannot be 0: it takes a number of replicas, or -1 for 3, or one a broker$",
        ),
        ("log_level = 'loud'\n", r"cannot be 'loud': it takes debug, info, warning or error$"),
        ("kafka = 'x'\n", r"^the setting kafka takes a table of librdkafka properties"),
        ("[kafka]\n'a.b' = ['x']\n", r"^the Kafka property a\.b takes a text, a number, true or false$"),
    ],
)
def test_a_wrong_file_is_named_with_what_is_wrong(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        Settings.load(_file(tmp_path, text))


def test_a_file_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"absent\.toml cannot be read: No such file or directory$"):
        Settings.load(tmp_path / "absent.toml")


def test_a_wrong_variable_or_argument_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ConfigurationError, match=r"^there is no setting metric_port; did you mean metrics_port\?$"):
        Settings.load(metric_port=1)
    monkeypatch.setenv("KADENCE_METRICS_PORT", "http")
    with pytest.raises(
        ConfigurationError, match=r"^the setting metrics_port \(KADENCE_METRICS_PORT\) cannot be 'http'"
    ):
        Settings()
    monkeypatch.delenv("KADENCE_METRICS_PORT")
    monkeypatch.setenv("KADENCE_KAFKA", "x=y")
    with pytest.raises(ConfigurationError, match=r"in the environment each has a variable"):
        Settings()


def test_levels_and_formats_may_be_written_in_capitals(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KADENCE_LOG_LEVEL", "WARNING")
    monkeypatch.setenv("KADENCE_LOG_FORMAT", "JSON")
    settings = Settings.load()
    assert (settings.log_level, settings.log_format) == ("warning", "json")


def test_unknown_variables_are_named_with_the_nearest(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KADENCE_METRIC_PORT", "1")
    monkeypatch.setenv("KADENCE_NAMESPACE", "known")
    monkeypatch.setenv("KADENCE_KAFKA_SSL_CA_LOCATION", "/ca.pem")
    [warning] = Settings.unknown_environment()
    assert warning.endswith("KADENCE_METRIC_PORT is no setting of kadence; did you mean KADENCE_METRICS_PORT?")


def test_settings_are_frozen() -> None:
    settings = Settings()
    with pytest.raises(ValidationError, match="frozen"):
        settings.namespace = "other"
