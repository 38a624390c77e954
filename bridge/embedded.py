"""The broker of those who have none yet: amqtt, on the loopback address, for trying things out.

It speaks MQTT 3.1.1 only and forgets everything when it stops; Home Assistant wants Mosquitto.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from bridge.errors import BrokerError

_PLUGINS = {"amqtt.plugins.authentication.AnonymousAuthPlugin": {"allow_anonymous": True}}


async def answers(host: str, port: int) -> bool:
    """Whether anything takes connections there."""
    with suppress(OSError, TimeoutError):
        async with asyncio.timeout(2.0):
            _, writer = await asyncio.open_connection(host, port)
        writer.close()
        with suppress(OSError):
            await writer.wait_closed()
        return True
    return False


@asynccontextmanager
async def broker(host: str, port: int) -> AsyncIterator[None]:
    """Run a broker for as long as the context lasts. Raises BrokerError where it cannot start."""
    # Imported here: nobody with a broker of their own should pay for this one.
    from amqtt.broker import Broker  # noqa: PLC0415
    from amqtt.errors import AMQTTError  # noqa: PLC0415

    listener = {"type": "tcp", "bind": f"{host}:{port}", "max_connections": 100}
    server = Broker({"listeners": {"default": listener}, "plugins": _PLUGINS})
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
