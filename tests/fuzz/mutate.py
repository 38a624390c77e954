"""Hostile input made of honest frames, the same for the same seed."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence

LONGEST = 6000
"""More than a frame may have, so that limits are met."""

SPECIAL = [b"", b"\0", b"\xff", b"(", b")", b"$", b"*", b";", b"#", b",", b"\r\n", b"-", b".", b"%",
           b"{", b"}", b"[", b"]", b"imei:", b"##,imei:", b"*HQ,", b"GPRMC,", b"xx", b"yy", b"\r\n",
           b"9" * 40, b"1e400", b"nan", b"inf", b"_1", b"\xb2\xb3", b"0x1f", b"+-1", b"F", b"A",
           b"V", b"99999999", b"\xe9"]  # fmt: skip

OPENINGS = [
    b"GET / HTTP/1.1\r\nHost: a\r\n\r\n",
    b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    b"SSH-2.0-x\r\n",
    b"\x03\x00\x00\x13\x0e\xe0\x00\x00\x00\x00\x00\x01\x00\x08\x00\x03\x00\x00\x00",
    b"OPTIONS sip:nm SIP/2.0\r\n",
    b"*1\r\n$4\r\nPING\r\n",
    b"\x00\x00\x00\x54\xffSMBr\x00\x00\x00\x00",
    b"stats\r\n",
    b"\x00\x1e\x00\x06\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\x07version\x04bind",
    b"\x10\x10\x00\x04MQTT\x04\x02\x00\x3c\x00\x04test",
]

Mutation = Callable[[random.Random, bytes, Sequence[bytes]], bytes]


def _flip(rng: random.Random, data: bytes, _: Sequence[bytes]) -> bytes:
    flipped = bytearray(data)
    for _ in range(rng.randint(1, 4)):
        if flipped:
            flipped[rng.randrange(len(flipped))] ^= 1 << rng.randrange(8)
    return bytes(flipped)


def _replace(rng: random.Random, data: bytes, _: Sequence[bytes]) -> bytes:
    start, end = _span(rng, data)
    return data[:start] + rng.choice(SPECIAL) + data[end:]


def _insert(rng: random.Random, data: bytes, _: Sequence[bytes]) -> bytes:
    at = rng.randint(0, len(data))
    return data[:at] + rng.choice(SPECIAL) * rng.choice((1, 1, 2, 50)) + data[at:]


def _delete(rng: random.Random, data: bytes, _: Sequence[bytes]) -> bytes:
    start, end = _span(rng, data)
    return data[:start] + data[end:]


def _double(rng: random.Random, data: bytes, _: Sequence[bytes]) -> bytes:
    start, end = _span(rng, data)
    return data[:end] + data[start:end] * rng.choice((1, 2, 30)) + data[end:]


def _splice(rng: random.Random, data: bytes, frames: Sequence[bytes]) -> bytes:
    other = rng.choice(frames)
    return data[: rng.randint(0, len(data))] + other[rng.randint(0, len(other)) :]


def _follow(rng: random.Random, data: bytes, frames: Sequence[bytes]) -> bytes:
    return data + rng.choice((b"", b"\r\n", b" ", b"junk")) + rng.choice(frames)


def _cut(rng: random.Random, data: bytes, _: Sequence[bytes]) -> bytes:
    return data[: rng.randint(0, len(data))]


def _swap(rng: random.Random, data: bytes, _: Sequence[bytes]) -> bytes:
    columns = data.split(b",")
    one, other = rng.randrange(len(columns)), rng.randrange(len(columns))
    columns[one], columns[other] = columns[other], columns[one]
    return b",".join(columns)


def _noise(rng: random.Random, _: bytes, __: Sequence[bytes]) -> bytes:
    return rng.randbytes(rng.choice((1, 2, 15, 16, 64, 300, 2000)))


def _knock(rng: random.Random, _: bytes, __: Sequence[bytes]) -> bytes:
    return rng.choice(OPENINGS) + rng.randbytes(rng.choice((0, 0, 20, 200)))


def _run(rng: random.Random, data: bytes, _: Sequence[bytes]) -> bytes:
    return data + rng.choice(SPECIAL) * rng.choice((100, 1000, 4000))


MUTATIONS: tuple[Mutation, ...] = (
    _flip, _flip, _flip, _flip, _replace, _replace, _replace, _insert, _delete, _double, _splice,
    _follow, _cut, _swap, _noise, _knock, _run,
)  # fmt: skip


def _span(rng: random.Random, data: bytes) -> tuple[int, int]:
    start = rng.randint(0, len(data))
    return start, min(len(data), start + rng.choice((1, 1, 2, 5, 20)))


def inputs(frames: Sequence[bytes], count: int, seed: int) -> Iterator[bytes]:
    """Yield so many inputs, each a frame mutated one to four times, none longer than `LONGEST`."""
    rng = random.Random(seed)  # noqa: S311 - the same for the same seed is what is wanted
    for _ in range(count):
        data = rng.choice(frames)
        for _ in range(rng.choice((1, 1, 2, 4))):
            data = rng.choice(MUTATIONS)(rng, data, frames)
        yield data[:LONGEST]


def chunks(rng: random.Random, data: bytes) -> list[bytes]:
    """Return the input as the reads it may come in: mostly one, sometimes a few."""
    if len(data) < 2 or rng.random() < 0.7:
        return [data]
    cuts = sorted(rng.randrange(1, len(data)) for _ in range(rng.randint(1, 4)))
    return [data[a:b] for a, b in zip([0, *cuts], [*cuts, len(data)], strict=True) if a < b]
