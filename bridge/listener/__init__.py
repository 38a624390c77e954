"""The tracker port: TCP and UDP, asyncio, limits. It knows bytes, peers and time, no protocol.

    buffer_updated -> Connection -> events -> Intake.take         replies come back through Session
    datagram_received -> shed floods -> Connection of (address, port) -> the same
    a trusted proxy's connection -> its header says whose it is -> the first line

What a stranger can make it do is bounded: connections in all, per address and a minute, bytes and
seconds until it has said something, datagrams a second, sessions, the size of an answer, and how
long we keep answers that nobody collects. Where no place is left, whoever nobody knows goes first;
who keeps saying nothing known is kept out for a while, unless others may come the same way.
"""

from bridge.listener.port import Listener

__all__ = ["Listener"]
