"""The protocols of this bridge, in the order in which they are asked to claim a stream.

A new protocol is one file beside this one, one line here and one corpus file.
"""

from __future__ import annotations

from bridge.protocols import (
    gps103,
    gps103_commands,
    gt06,
    h02,
    h02_commands,
    sms,
    sms_commands,
    tk103,
    tk103_commands,
    xexun,
    xexun_commands,
)
from bridge.protocols.base import WireProtocol
from bridge.protocols.encoding import Vocabulary
from bridge.protocols.gt06 import commands as gt06_commands

PROTOCOLS: tuple[WireProtocol, ...] = (
    gps103.PROTOCOL,
    tk103.PROTOCOL,
    xexun.PROTOCOL,
    h02.PROTOCOL,
    gt06.PROTOCOL,
)

VOCABULARIES: dict[str, Vocabulary] = {
    gps103.NAME: gps103_commands.VOCABULARY,
    tk103.NAME: tk103_commands.VOCABULARY,
    xexun.NAME: xexun_commands.VOCABULARY,
    h02.NAME: h02_commands.VOCABULARY,
    gt06.NAME: gt06_commands.VOCABULARY,
    sms.NAME: sms_commands.VOCABULARY,
}
"""What the trackers of each protocol can be told, and how they answer."""
