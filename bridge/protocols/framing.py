"""Where a frame ends: cutters for the framings the family uses.

    delimited   TEXT;TEXT*TEXT\\n        one of several closing bytes, the earliest wins
    bracketed   junk(TEXT)junk(TEXT)    opened and closed, junk between is skipped

Each cutter is a pure function of the buffer, the place to cut at and whether more can come. A
search never looks further than `WINDOW` bytes, so that no input makes cutting quadratic.
"""

from __future__ import annotations

from bridge.protocols.base import MORE, Cut, CutFunction

WINDOW = 8192
"""Further than any legal frame reaches; `Connection` refuses frames well below it."""


def delimited(first: bytes, *others: bytes) -> CutFunction:
    """Return a cutter for frames that end at the earliest of some single bytes, delimiter included.

    A frame of blanks alone, as the CR LF behind a ``;``, is noise.
    """

    def cut(data: bytes, start: int, final: bool) -> Cut:  # noqa: ARG001, FBT001
        end = data.find(first, start, start + WINDOW)
        frame = data[start : end + 1] if end >= 0 else data[start : start + WINDOW]
        for other in others:
            if other in frame:
                frame = frame[: frame.find(other) + 1]
                end = 0
        if end < 0:
            return MORE
        return Cut(len(frame), None if frame.isspace() else frame)

    return cut


def bracketed(opening: bytes, closing: bytes, quote: bytes) -> CutFunction:
    """Return a cutter for frames between two brackets.

    Between a pair of `quote` bytes a closing bracket is text. A second opening bracket outside of
    quotes starts the frame anew: what stood before it is cut as a frame of its own, unfinished, and
    a lone bracket is noise.
    """

    def cut(data: bytes, start: int, final: bool) -> Cut:  # noqa: ARG001, FBT001
        begin = data.find(opening, start, start + WINDOW)
        if begin != start:
            end = begin if begin >= 0 else min(len(data), start + WINDOW)
            return Cut(end - start)
        stop = start + WINDOW
        scan = start + 1
        while True:
            end = data.find(closing, scan, stop)
            text_end = end if end >= 0 else min(len(data), stop)
            quoted = data.find(quote, scan, text_end)
            again = data.find(opening, scan, quoted if quoted >= 0 else text_end)
            if again >= 0:
                return Cut(again - start, data[start:again] if again > start + 1 else None)
            if quoted >= 0:
                unquoted = data.find(quote, quoted + 1, stop)
                if unquoted < 0:
                    return MORE
                scan = unquoted + 1
                continue
            if end < 0:
                return MORE
            return Cut(end + 1 - start, data[start : end + 1])

    return cut
