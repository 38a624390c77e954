r"""Where a gt06 frame begins and ends, and the sum that seals it.

A frame ends with CR LF where its length says. But lengths lie: some firmware counts something else
there, some leaves half of a login away, lines lose bytes, and CR LF may also stand within a body.
So the first CR LF behind the head is the end

* if the length says so;
* before that: if the sum is right, or if this is a login with a whole id;
* at last, if there is none where the length says.

If another frame, exactly as long as it says, ends there, then what stood before it is cut off by
itself. Each of these is known when that CR LF is there, or when the length has been reached: how
the bytes were chopped changes nothing.
"""

from __future__ import annotations

from binascii import crc_hqx

from bridge.protocols.base import MORE, Claim, Cut

SHORT, LONG, CLOSING = b"xx", b"yy", b"\r\n"
"""The two openings, 78 78 with a length of one byte and 79 79 with one of two; and the end."""

_BESIDES, _LONG_BESIDES = 5, 6
"""Bytes of a frame that its length does not count."""

LOGIN = 0x01
_ID_END = 12
LEAST = 10
"""Bytes of a frame with an empty body."""
_LONGEST = 4096
"""A length beyond this is none: `Connection` takes no longer frames."""
_LONGEST_SHORT = 255 + _BESIDES

_MIRRORED = bytes(int(f"{byte:08b}"[::-1], 2) for byte in range(256))
_INVERTED = bytes(byte ^ 0xFF for byte in _MIRRORED)


def checksum(data: bytes) -> bytes:
    """Return the CRC-16/X-25 of length, kind, body and serial number.

    It is the CRC of `crc_hqx` with the bits of each byte, and of the result, the other way round.
    """
    crc = crc_hqx(data.translate(_MIRRORED), 0xFFFF)
    return bytes((_INVERTED[crc & 0xFF], _INVERTED[crc >> 8]))


def build(opening: bytes, kind: int, serial: bytes, body: bytes = b"") -> bytes:
    """Return a whole frame, its body 250 bytes at most."""
    size = len(body) + 5
    head = bytes((0, size, kind) if opening == LONG else (size, kind))
    inner = head + body + serial
    return opening + inner + checksum(inner) + CLOSING


def is_as_long_as_told(frame: bytes) -> bool:
    """Whether the length of a whole frame is true."""
    if frame[:2] == LONG:
        return int.from_bytes(frame[2:4]) + _LONG_BESIDES == len(frame)
    return frame[2] + _BESIDES == len(frame)


def sealed(frame: bytes) -> bool:
    """Whether the sum before the closing CR LF is right."""
    return checksum(frame[2:-4]) == frame[-4:-2]


def claim(data: bytes, final: bool) -> Claim:  # noqa: FBT001
    """Claim what opens with 78 78 or 79 79."""
    if data[:2] in (SHORT, LONG):
        return Claim.YES
    return Claim.UNDECIDED if data in (b"", b"x", b"y") and not final else Claim.NO


def cut(data: bytes, start: int, final: bool) -> Cut:  # noqa: FBT001
    """Cut one frame, or the noise before one."""
    head = data[start : start + 4]
    if head[:2] == SHORT:
        size = _BESIDES + (head[2] if len(head) > 2 else 0)
    elif head[:2] == LONG:
        size = _LONG_BESIDES + int.from_bytes(head[2:])
    else:
        return _noise(data, start, final=final)
    end = start + size
    close = data.find(CLOSING, start + 4, end) + 2
    if close == end and size >= LEAST:
        return Cut(size, data[start:end])
    return _cut_by_sight(data, start, end, close if close > 1 else 0, final=final)


def _cut_by_sight(data: bytes, start: int, end: int, close: int, *, final: bool) -> Cut:
    """Cut where the length lies, or may.

    `end` is where the frame ends by its length, `close` where it does by its first CR LF before
    that, 0 if there is none.
    """
    if close:
        whole = _whole_within(data, start, close)
        if whole:
            return Cut(whole - start, data[start:whole])
        login = data[start : start + 2] == SHORT and data[start + 3] == LOGIN
        if (login and close - start >= _ID_END + 2) or sealed(data[start:close]):
            return Cut(close - start, data[start:close])
    if end - start <= _LONGEST:
        if end > len(data) and not final:
            return MORE
        if close and data[end - 2 : end] == CLOSING:
            return Cut(end - start, data[start:end])
    if not close:
        close = data.find(CLOSING, start + 4, start + _LONGEST) + 2
        if close < 2:
            return MORE
        close = _whole_within(data, start, close) or close
    return Cut(close - start, data[start:close])


def _whole_within(data: bytes, start: int, end: int) -> int:
    """Return where a later frame begins that ends here as it says, 0 if there is none.

    Only short ones are looked for: all frames that matter are.
    """
    begin = data.find(SHORT, max(start + 2, end - _LONGEST_SHORT), end - LEAST + 2)
    while begin >= 0 and begin + _BESIDES + data[begin + 2] != end:
        begin = data.find(SHORT, begin + 1, end - LEAST + 2)
    return max(begin, 0)


def _noise(data: bytes, start: int, *, final: bool) -> Cut:
    """Skip to the next opening, or to a last byte that may be half of one."""
    stop = min(len(data), start + _LONGEST)
    found = [at for at in (data.find(SHORT, start, stop), data.find(LONG, start, stop)) if at >= 0]
    if found:
        return Cut(min(found) - start)
    half = data[stop - 1] in SHORT + LONG and not (final and stop == len(data))
    return Cut(stop - half - start) if stop - half > start else MORE
