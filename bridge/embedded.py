"""The broker of those who have none yet: amqtt, on the loopback address, for trying things out.

It speaks MQTT 3.1.1 only and forgets everything when it stops; Home Assistant wants Mosquitto.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING, Any, Literal

from bridge.errors import BrokerError

if TYPE_CHECKING:
    from amqtt.broker import Broker
    from amqtt.session import Session

Found = Literal["nobody", "broker", "stranger"]

_PATIENCE_S = 5.0
_CONNECT = b"\x10\x0c\x00\x04MQTT\x04\x02\x00\x0a\x00\x00"
"""MQTT 3.1.1, clean session, nobody's name: every broker answers it, even one that refuses."""
_CONNACK = b"\x20"
_DISCONNECT = b"\xe0\x00"

_PLUGINS = {"amqtt.plugins.authentication.AnonymousAuthPlugin": {"allow_anonymous": True}}


async def found(host: str, port: int) -> Found:
    """Return who takes connections there; a broker is one that answers a CONNECT, and be it no."""
    try:
        async with asyncio.timeout(_PATIENCE_S):
            reader, writer = await asyncio.open_connection(host, port)
    except (OSError, TimeoutError):
        return "nobody"
    try:
        async with asyncio.timeout(_PATIENCE_S):
            writer.write(_CONNECT)
            first = await reader.read(1)
        if first == _CONNACK:
            writer.write(_DISCONNECT)
            return "broker"
    except (OSError, TimeoutError):
        pass
    finally:
        writer.close()
        with suppress(OSError):
            await writer.wait_closed()
    return "stranger"


class _Filters(dict[str, Any]):
    """Topic filters that are gone through as they were when that began."""

    def __iter__(self) -> Iterator[str]:
        return iter(tuple(self.keys()))


def _mended() -> type[Broker]:
    """Return amqtt's broker without what it does wrong to a client that connects.

    It sends the newcomer what is retained for the subscriptions of everybody, and drops the
    connection if another client subscribes while it does (0.11.3 to 0.12.1).
    """
    # Imported here: nobody with a broker of their own should pay for this one.
    from amqtt.broker import Broker  # noqa: PLC0415

    class Mended(Broker):
        def __init__(self, config: dict[str, Any]) -> None:
            super().__init__(config)
            self._subscriptions = _Filters()

        async def _publish_retained_messages_for_subscription(
            self, subscription: tuple[str, int], session: Session
        ) -> None:
            if any(one is session for one, _ in self._subscriptions.get(subscription[0], ())):
                await super()._publish_retained_messages_for_subscription(subscription, session)

    return Mended


@asynccontextmanager
async def broker(host: str, port: int) -> AsyncIterator[None]:
    """Run a broker for as long as the context lasts. Raises BrokerError where it cannot start."""
    from amqtt.errors import AMQTTError  # noqa: PLC0415

    listener = {"type": "tcp", "bind": f"{host}:{port}", "max_connections": 100}
    server = _mended()({"listeners": {"default": listener}, "plugins": _PLUGINS})
    try:
        await server.start()
    except (AMQTTError, OSError) as error:
        raise BrokerError(
            f"cannot start a broker on {host}:{port}: {error}. Name yours with mqtt.host"
        ) from error
    try:
        yield
    finally:
        await server.shutdown()
