"""Secrets do not leave the process, and what is none is left as it is."""

from __future__ import annotations

import pytest

from kadence.handlers.secrets import Mask
from kadence.settings import secret_values

HIDDEN = [
    ("postgresql://app:hunter22@db:5432/billing failed", "postgresql://app:***@db:5432/billing failed"),
    ("redis://:hunter22@cache", "redis://:***@cache"),
    ("amqp://app:p@ss:word@rabbit/vhost", "amqp://app:***@rabbit/vhost"),
    ("password=hunter22, user=app", "password=***, user=app"),
    ("DB_PASSWORD = 'hunter 22' next", "DB_PASSWORD = *** next"),
    ('{"token": "abc def", "user": "app"}', '{"token": ***, "user": "app"}'),
    ("{'api_key': 'abc\\'def', 'n': 1}", "{'api_key': ***, 'n': 1}"),
    ("?access_token=abc.def&page=2", "?access_token=***&page=2"),
    ("aws_secret_access_key: AbC/dEf+1", "aws_secret_access_key: ***"),
    ("client_secret='unfinished", "client_secret=***"),
    ("connect(password=b'hunter22')", "connect(password=***)"),
    ("Authorization: Basic YXBwOmh1bnRlcjIy\nAccept: */*", "Authorization: ***\nAccept: */*"),
    ("{'Authorization': 'Bearer abcdefgh.ijk', 'a': 1}", "{'Authorization': '***', 'a': 1}"),
    ("('authorization', 'token abc')", "('authorization', '***')"),
    ("sent Bearer abcdefgh.ijk", "sent Bearer ***"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "shown"), HIDDEN)
def test_what_looks_like_a_secret_is_masked(text: str, shown: str) -> None:
    assert Mask()(text) == shown


LEFT = [
    "KeyError: 'token'",
    "tokenize.TokenError: unexpected end of file",
    "SecretNotFoundError: no such entry",
    "http://db:5432/path?mail=a@b.de",
    "the passwords do not match",
    "ssh://git@example.org/billing.git",
    "2026-11-23T09:00:00Z",
]


@pytest.mark.parametrize("text", LEFT)
def test_what_is_no_secret_is_left(text: str) -> None:
    assert Mask()(text) == text


def test_known_values_are_masked_wherever_they_stand_and_however_spelt() -> None:
    mask = Mask(["pa/ss'w\n", "pa/ss'w\n-longer"])
    assert mask("a pa/ss'w\n-longer b pa/ss'w\n c pa%2Fss%27w%0A d \"pa/ss'w\\n\"") == 'a *** b *** c *** d "***"'


def test_a_key_of_several_lines_is_masked_although_it_is_indented() -> None:
    key = "-----BEGIN CERTIFICATE-----\nMIIEvQIBADANBgkqhkiG9w0\nAQEFAASCBKcwggSjAgEAAoI\n-----END CERTIFICATE-----"
    shown = Mask([key])("\n".join(f"  | {line}" for line in key.splitlines()))
    assert shown == "  | ***\n  | ***\n  | ***\n  | ***"
    private = "-----BEGIN RSA PRIVATE KEY-----\nMIIEvQ\n-----END RSA PRIVATE KEY----- end"
    assert Mask()(private) == "*** end"


def test_a_very_short_value_takes_no_text_apart() -> None:
    assert Mask(["abc", ""])("abcdef") == "abcdef"


def test_pydantic_says_no_input() -> None:
    text = (
        "1 validation error for Invoice\namount\n"
        "  Input should be a valid number [type=float_parsing, input_value='hunter22, input_type=x', input_type=str]\n"
    )
    assert Mask()(text).splitlines()[2] == "  Input should be a valid number [type=float_parsing]"


def test_a_long_text_takes_no_time() -> None:
    text = "a" * 50_000 + " " + "token" * 5_000 + " " + '"' * 5_000 + "://" * 5_000 + ":" * 5_000 + "password='" * 2_000
    assert Mask(["hunter22"])(text)


def test_the_secret_values_of_settings() -> None:
    properties = {"sasl.password": "hunter22", "sasl.username": "app", "ssl.key.pem": "PEM", "client.id": "x"}
    assert secret_values(properties) == ["hunter22", "PEM"]
