r"""Where a frame ends: cutters for the framings the family uses.

    delimited   TEXT;TEXT*TEXT\n         one of several closing bytes, the earliest wins
    bracketed   junk(TEXT)junk($TEXT$)   opened and closed, junk between is skipped

Each cutter is a pure function of the buffer, the place to cut at and whether more can come. A
search never looks further than `WINDOW` bytes, so that no input makes cutting quadratic.
"""

from __future__ import annotations

from bridge.protocols.base import MORE, Cut, CutFunction

WINDOW = 8192
"""Further than any legal frame reaches; `Connection` refuses frames well below it."""


def delimited(first: bytes, *others: bytes, blank: bytes = b"\r\n ") -> CutFunction:
    """Return a cutter for frames that end at the earliest of some single bytes, delimiter included.

    `first` is the usual one. What stands before a frame of `blank` bytes and of delimiters, as the
    CR LF behind a ``;``, is noise: no frame is empty.
    """
    skipped = blank + first + b"".join(others)

    def cut(data: bytes, start: int, final: bool) -> Cut:  # noqa: ARG001, FBT001
        if data[start] in skipped:
            noise = data[start : start + WINDOW]
            return Cut(len(noise) - len(noise.lstrip(skipped)))
        end = data.find(first, start, start + WINDOW)
        frame = data[start : end + 1] if end >= 0 else data[start : start + WINDOW]
        for other in others:
            found = frame.find(other)
            if found >= 0:
                end, frame = found, frame[: found + 1]
        return Cut(len(frame), frame) if end >= 0 else MORE

    return cut


QUOTED_WINDOW = 1024
"""A frame whose quoted text is still open here is given up, for the sake of what follows it."""


def bracketed(opening: bytes, closing: bytes, quote: bytes) -> CutFunction:
    """Return a cutter for frames between two brackets; each of the three marks is a single byte.

    Between a pair of `quote` bytes a bracket is text. An opening bracket outside of quotes starts
    the frame anew: what stood before it is cut as a frame of its own, unfinished; a lone bracket is
    noise. So is a frame cut whose quoted text does not end within `QUOTED_WINDOW` bytes.
    """
    first = opening[0]

    def cut(data: bytes, start: int, final: bool) -> Cut:  # noqa: ARG001, FBT001
        if data[start] != first:
            begin = data.find(opening, start, start + WINDOW)
            return Cut((begin if begin >= 0 else min(len(data), start + WINDOW)) - start)
        end = data.find(closing, start, start + WINDOW)
        if end >= 0:
            frame = data[start : end + 1]
            if frame.find(quote) < 0 and not frame.rfind(opening):
                return Cut(len(frame), frame)
        return _cut_quoted(data, start, opening, closing, quote)

    return cut


def _cut_quoted(data: bytes, start: int, opening: bytes, closing: bytes, quote: bytes) -> Cut:
    """Cut at an opening bracket the long way: quotes in pairs, a second bracket, or no end yet."""
    stop = min(len(data), start + WINDOW)
    given_up = start + QUOTED_WINDOW
    scan = start + 1
    while True:
        end = data.find(closing, scan, stop)
        text_end = end if end >= 0 else stop
        quoted = data.find(quote, scan, text_end)
        again = data.find(opening, scan, quoted if quoted >= 0 else text_end)
        if again >= 0:
            return _unfinished(data, start, again)
        if quoted < 0:
            return MORE if end < 0 else Cut(end + 1 - start, data[start : end + 1])
        unquoted = data.find(quote, quoted + 1, given_up)
        if unquoted < 0:
            if len(data) < given_up:
                return MORE
            again = data.find(opening, start + 1, given_up)
            return _unfinished(data, start, again if again >= 0 else given_up)
        scan = unquoted + 1


def _unfinished(data: bytes, start: int, end: int) -> Cut:
    return Cut(end - start, data[start:end] if end > start + 1 else None)
