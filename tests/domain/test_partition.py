"""Java's default partitioner: the hash's known values, and what becomes of its sign."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kadence.domain.partition import murmur2, partition_for

# org.apache.kafka.common.utils.UtilsTest.testMurmur2, Apache Kafka.
KAFKAS_OWN = [
    (b"21", -973932308),
    (b"foobar", -790332482),
    (b"a-little-bit-long-string", -985981536),
    (b"a-little-bit-longer-string", -1486304829),
    (b"lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58897971),
    (b"abc", 479470107),
]


@pytest.mark.parametrize(("key", "expected"), KAFKAS_OWN)
def test_the_hash_is_the_one_of_kafkas_own_tests(key: bytes, expected: int) -> None:
    assert murmur2(key) == expected


@given(st.binary(max_size=40))
def test_the_hash_is_that_of_the_algorithm_followed_byte_by_byte(key: bytes) -> None:
    assert murmur2(key) == followed(key)


def test_a_negative_hash_loses_its_sign_bit_and_not_its_sign() -> None:
    assert partition_for(b"21", 12) == (-973932308 & 0x7FFFFFFF) % 12
    assert partition_for(b"21", 12) != 973932308 % 12


@given(st.binary(max_size=40), st.integers(1, 200))
def test_every_key_has_a_partition_that_exists(key: bytes, partitions: int) -> None:
    assert 0 <= partition_for(key, partitions) < partitions


def followed(key: bytes) -> int:
    """The published description of MurmurHash2, one step a line, in numbers without an end."""
    m = 0x5BD1E995
    h = 0x9747B28C ^ len(key)
    data = list(key)
    while len(data) >= 4:
        k = data[0] + data[1] * 2**8 + data[2] * 2**16 + data[3] * 2**24
        k = k * m % 2**32
        k = k ^ (k // 2**24)
        k = k * m % 2**32
        h = h * m % 2**32
        h = h ^ k
        data = data[4:]
    if len(data) == 3:
        h = h ^ data[2] * 2**16
    if len(data) >= 2:
        h = h ^ data[1] * 2**8
    if len(data) >= 1:
        h = h ^ data[0]
        h = h * m % 2**32
    h = h ^ (h // 2**13)
    h = h * m % 2**32
    h = h ^ (h // 2**15)
    return h if h < 2**31 else h - 2**32
