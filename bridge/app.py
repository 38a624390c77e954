"""The composition root: builds every room, runs them, and leaves in good order.

Coming up: folder, registry, journal, state, port, broker. Going down: port, broker, journal,
folder. So what arrives is taken before anybody is told of it, and what was taken is told if it can
be.
"""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import socket
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from bridge import __version__, embedded, log, program
from bridge.alive import alive
from bridge.backup import Shelf
from bridge.config import Config, Listen, Mqtt
from bridge.datafolder import lock_folder
from bridge.errors import BrokerError, RequestError, StorageError
from bridge.intake import Intake
from bridge.journal import Journal
from bridge.listener import Listener
from bridge.listener.port import bound_socket, try_port
from bridge.notify import Notifier
from bridge.record import moment_of
from bridge.registry import Registry
from bridge.reload import Reload, Source
from bridge.requests import House, Requests
from bridge.sinks.announcements import Announcements
from bridge.sinks.mqtt import MqttSink
from bridge.texts import Texts
from bridge.upkeep import Upkeep

_log = logging.getLogger(__name__)

LOOPBACK = "127.0.0.1"
DRAIN_S = 2.0
"""How long a stopping bridge waits for the broker to take what is committed."""

Extra = Callable[[Intake], Coroutine[None, None, None]]


def utc_now() -> datetime:
    """Return the time, aware and UTC."""
    return datetime.now(UTC)


class Life:
    """What is asked of a bridge as a process: to end, to begin again, to read its configuration."""

    def __init__(self) -> None:
        self.over = asyncio.Event()
        self.again = False
        self.reread = asyncio.Event()
        self._terminal = program.has_terminal()

    def stop(self) -> None:
        """Have it end."""
        self.again = False
        self.over.set()

    def restart(self) -> None:
        """Have it end and begin again, unless it ends already."""
        self.again = self.again or not self.over.is_set()
        self.over.set()

    def hung_up(self) -> None:
        """Take a SIGHUP: the window we were started in is closed, or somebody asks for a reload."""
        if self._terminal and not program.has_terminal():
            self.stop()
        else:
            self.reread.set()


async def serve(config: Config, source: Source, extra: Extra | None = None) -> bool:
    """Run a bridge until SIGINT or SIGTERM; return whether it is to be started again.

    SIGHUP has it read `source` anew, which has given `config`. `extra` is run beside it, as the
    demo's car. Raises BridgeError for what a person must mend.
    """
    life = Life()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, life.stop)
    loop.add_signal_handler(signal.SIGHUP, life.hung_up)
    program.hear_again()
    async with running(config, source, life) as intake:
        beside = loop.create_task(extra(intake), name="extra") if extra is not None else None
        await life.over.wait()
        _log.info("restarting" if life.again else "stopping")
        if beside is not None:
            beside.cancel()
            with suppress(asyncio.CancelledError):
                await beside
    return life.again


@asynccontextmanager
async def running(config: Config, source: Source, life: Life) -> AsyncIterator[Intake]:
    """Run a bridge for as long as the context lasts; what ends it from inside is raised here."""
    async with AsyncExitStack() as stack:
        folder = stack.enter_context(lock_folder(config.storage.path))
        registry = Registry.open(folder.path, config.mqtt.base_topic)
        registry.merge_yaml(config.vehicles, config.access.block)
        reload = Reload(config, source, registry)
        reload.tell_notices()
        if reload.config.log != config.log:
            log.setup(reload.config.log.level, reload.config.log.format)
        config = reload.config
        intake = _restored(config, registry, folder.path)
        journal = intake.journal
        stack.callback(journal.close)
        stack.callback(intake.fleet.checkpoint_all)
        journal.on_fault = partial(_faulted, intake)
        journal.start(asyncio.get_running_loop())

        try_port(config.listen)
        listener = Listener(config, intake)
        config = replace(config, mqtt=await _find_broker(config.mqtt, stack))
        announcements = Announcements(config, intake, listener.counts)
        sink = MqttSink(config, intake, announcements)
        shelf = Shelf(folder.path, source, utc_now)
        house = House(reload, shelf.add, partial(check_restart, reload), life.restart)
        requests = Requests(intake, sink, house)
        sink.inbox.answer, sink.inbox.order = requests.answer, requests.order
        intake.downlink.post = sink.post
        receipt = config.alarms.auto_receipt
        texts = Texts(intake.fleet, intake.downlink, utc_now, receipt=receipt)
        sink.inbox.text = texts.take
        intake.watchers.append(sink)
        reload.followers += [intake.follow, texts.follow, sink.follow]
        await stack.enter_async_context(_beside(sink.run(), sink.drained))
        await stack.enter_async_context(_beside(Upkeep(intake.fleet, utc_now).run()))
        await stack.enter_async_context(_beside(intake.downlink.run()))
        await stack.enter_async_context(listener)
        signs = alive(folder.path, Notifier(os.environ), stays=lambda: life.again)
        await stack.enter_async_context(signs)
        await stack.enter_async_context(_beside(_rereading(life, reload)))
        _greet(config, intake)
        yield intake


async def _rereading(life: Life, reload: Reload) -> None:
    while True:
        await life.reread.wait()
        life.reread.clear()
        await reload.reload()


async def check_restart(reload: Reload) -> None:
    """Raise BridgeError where a bridge that begins anew would lack its configuration or port."""
    wanted = await reload.check()
    await asyncio.to_thread(check_port, reload.config.listen, wanted.listen)


def check_port(ours: Listen, wanted: Listen) -> None:
    """Raise RequestError where another port could not be had. Nobody can connect to it meanwhile.

    Of a port that we hold ourselves only the address can be tried.
    """
    if replace(ours, proxy_protocol=()) == replace(wanted, proxy_protocol=()):
        return
    for kind, before, after in (
        (socket.SOCK_DGRAM, ours.udp, wanted.udp),
        (socket.SOCK_STREAM, ours.tcp, wanted.tcp),
    ):
        held = before and ours.port == wanted.port
        if after:
            try:
                bound_socket(wanted.host, 0 if held else wanted.port, kind).close()
            except OSError as error:
                raise RequestError(
                    f"cannot listen on {wanted.host}:{wanted.port}, as the configuration says now: "
                    f"{error.strerror or error}"
                ) from error


def _restored(config: Config, registry: Registry, folder: Path) -> Intake:
    """Return the intake as its journal has left it; a damaged journal is set aside for a new one.

    Some damage shows only when rows are read. The journal has noted it then, and finds it when it
    is opened again.
    """
    intake = _opened(config, registry, folder)
    try:
        intake.restore()
    except StorageError as error:
        _log.error("%s", error)
        intake.journal.close()
        intake = _opened(config, registry, folder)
        intake.restore()
    return intake


def _opened(config: Config, registry: Registry, folder: Path) -> Intake:
    journal = Journal.open(
        folder, capacity=config.limits.journal_queue, moment_of=moment_of, rescue=True
    )
    if journal.rescued is not None:
        _log.error(
            "the journal was damaged: it lies in %s now, and a new one is begun. Every vehicle is "
            "still known; its history up to now is not",
            journal.rescued,
        )
    return Intake(config, registry, journal, utc_now)


@asynccontextmanager
async def _beside(
    work: Coroutine[None, None, None], last: Callable[[], Coroutine[None, None, None]] | None = None
) -> AsyncIterator[None]:
    """Run something beside the body; its failure interrupts the body and is raised.

    `last` is waited for when the body has ended, for `DRAIN_S` at most, and then the work is over.
    """
    body = asyncio.current_task()
    assert body is not None  # noqa: S101 - a context manager runs in a task
    task = asyncio.get_running_loop().create_task(work)
    task.add_done_callback(lambda done: None if done.cancelled() else body.cancel())
    try:
        yield
        with suppress(TimeoutError):
            async with asyncio.timeout(DRAIN_S):
                if last is not None:
                    await last()
    except asyncio.CancelledError:
        if not task.done() or task.cancelled():
            raise
        body.uncancel()
        task.result()
    finally:
        # Until Python 3.12 `wait_for`, which aiomqtt uses, may take a cancellation for itself.
        while not task.done():
            task.cancel()
            await asyncio.wait([task], timeout=0.5)
        with suppress(asyncio.CancelledError):
            task.result()


async def _find_broker(mqtt: Mqtt, stack: AsyncExitStack) -> Mqtt:
    """Return the broker to use: the configured one, one on this machine, or our own."""
    if mqtt.host is not None:
        return mqtt
    there = await embedded.found(LOOPBACK, mqtt.port)
    if there == "broker":
        _log.info("no broker is configured; using the one on %s:%d", LOOPBACK, mqtt.port)
        return replace(mqtt, host=LOOPBACK)
    if there == "stranger":
        raise BrokerError(
            f"what answers on {LOOPBACK}:{mqtt.port} is no MQTT broker, or wants TLS. Name your "
            "broker with mqtt.host, or let mqtt.port be one that is free"
        )
    await stack.enter_async_context(embedded.broker(LOOPBACK, mqtt.port))
    _log.info(
        "no broker is configured and none runs here: started a small one on %s:%d, for trying "
        "things out. For Home Assistant install Mosquitto and set mqtt.host",
        LOOPBACK,
        mqtt.port,
    )
    return replace(mqtt, host=LOOPBACK, protocol="3.1.1")


def _greet(config: Config, intake: Intake) -> None:
    listen, mqtt = config.listen, config.mqtt
    transports = " and ".join(name.upper() for name in ("tcp", "udp") if getattr(listen, name))
    _log.info("TK103B Bridge %s", __version__)
    _log.info("trackers: %s port %d, %s", listen.host, listen.port, transports)
    _log.info("broker:   %s:%d, topics below %s/", mqtt.host, mqtt.port, mqtt.base_topic)
    _log.info("data:     %s", config.storage.path.resolve())
    count = len(intake.registry.accepted())
    if count:
        _log.info("vehicles: %d", count)
    else:
        _log.info(
            "next:     point a tracker at this machine, port %d; when it has reported, accept it "
            "with '%s accept ID --name NAME' or in Home Assistant",
            listen.port,
            program.called(),
        )


def _faulted(intake: Intake, fault: str | None) -> None:
    if fault:
        intake.fleet.faulted()
        _log.error("the journal cannot be written: %s; reports wait in memory", fault)
    else:
        _log.info("the journal can be written again")
