"""gt06, the binary protocol of Concox and countless clones, also sold as "Chinese TK103B".

    78 78  LENGTH     KIND  BODY  SERIAL  CRC  0D 0A        LENGTH one byte: KIND to CRC
    79 79  LENGTH(2)  KIND  BODY  SERIAL  CRC  0D 0A        the same, with two bytes

    78 78 0D  01  ID(8)                          SERIAL  CRC  0D 0A        login
    78 78 05  01                                 SERIAL  CRC  0D 0A        its answer
    78 78 1F  12  GPS(18) CELL(8)                SERIAL  CRC  0D 0A        position
    78 78 25  16  GPS(18) 08 CELL(8) STATE(5)    SERIAL  CRC  0D 0A        alarm
    78 78 0A  13  STATE(5)                       SERIAL  CRC  0D 0A        status

    GPS    yy mm dd HH MM SS  SATELLITES  LATITUDE(4)  LONGITUDE(4)  KM/H  COURSE(2)
    CELL   MCC(2) MNC(1 or 2) LAC(2) CID(3)
    STATE  FLAGS BATTERY SIGNAL ALARM LANGUAGE

Only the login says who is speaking, the frames after it belong to that id; a session of datagrams
keeps it too. Nearly every frame is answered with its kind and serial number. `framing` cuts,
`layouts` says which blocks a kind is made of, `body` is what a block reads from and notes in.
Source of all facts: docs/protocols.md, section gt06.
"""

from __future__ import annotations

from bridge.protocols.base import WireProtocol
from bridge.protocols.gt06.decoding import NAME, decode
from bridge.protocols.gt06.framing import claim, cut

__all__ = ["NAME", "PROTOCOL", "claim", "cut", "decode"]

PROTOCOL = WireProtocol(name=NAME, claim=claim, cut=cut, decode=decode)
