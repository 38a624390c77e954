"""The protocols of this bridge, in the order in which they are asked to claim a stream.

A new protocol is one file beside this one, one line here and one corpus file.
"""

from __future__ import annotations

from bridge.protocols import gps103, gt06, h02, tk103, xexun
from bridge.protocols.base import WireProtocol

PROTOCOLS: tuple[WireProtocol, ...] = (
    gps103.PROTOCOL,
    tk103.PROTOCOL,
    xexun.PROTOCOL,
    h02.PROTOCOL,
    gt06.PROTOCOL,
)
