"""Which partition a key belongs to, by the default partitioner of Kafka's Java producer.

Any Java, Go or librdkafka (``murmur2``) producer that keys a record by the job's name comes to the same shard.
"""

from __future__ import annotations

import struct
from typing import Final

_M: Final = 0x5BD1E995
_SEED: Final = 0x9747B28C
_U32: Final = 0xFFFFFFFF
_POSITIVE: Final = 0x7FFFFFFF
_REMAINDER: Final = -4  # masks a length down to whole words


def murmur2(key: bytes) -> int:
    """Return the 32-bit hash of ``key`` as a signed number, as ``org.apache.kafka.common.utils.Utils.murmur2`` does.

    Austin Appleby's MurmurHash2 with Kafka's seed; words are little-endian.
    """
    length = len(key)
    whole = length & _REMAINDER
    h = _SEED ^ length
    for (word,) in struct.iter_unpack("<I", key[:whole]):
        k = word * _M & _U32
        h = (h * _M ^ (k ^ k >> 24) * _M) & _U32
    if whole != length:
        h = (h ^ int.from_bytes(key[whole:], "little")) * _M & _U32
    h = (h ^ h >> 13) * _M & _U32
    h ^= h >> 15
    return h - 0x1_0000_0000 if h > _POSITIVE else h


def partition_for(key: bytes, partitions: int) -> int:
    """Return the partition in [0, ``partitions``) that Java's producer puts a record with this key in.

    The sign bit is masked away (``Utils.toPositive``), which is not the absolute value.
    """
    return (murmur2(key) & _POSITIVE) % partitions
