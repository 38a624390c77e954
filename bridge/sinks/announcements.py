"""What the bridge says of itself and its vehicles, retained: info, devices, discovery, health."""

from __future__ import annotations

import resource
import secrets
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from bridge import __version__, abilities, homeassistant, log, payloads
from bridge.config import Config
from bridge.contract import BRIDGE_KEY, SCHEMA, VEHICLE_LEAVES, Owner, Topics
from bridge.intake import Intake
from bridge.protocols.registry import PROTOCOLS


class Announcements:
    """Renders the retained payloads from what the intake knows now; publishes nothing itself."""

    def __init__(self, config: Config, intake: Intake, port: Callable[[], dict[str, Any]]) -> None:
        self._config = config
        self._intake = intake
        self._port = port
        self._topics = Topics(config.mqtt.base_topic)
        self._started = time.monotonic()
        self._started_at = intake.clock()
        self._counted = (self._started, 0)
        self._removed: dict[str, bool] = {}
        """Keys of vehicles that were removed, and whether their retained topics go too."""
        self.letting_go = False
        """The component has asked for the entities and not yet confirmed that it has them."""
        self.instance = intake.registry.instance
        self.nonce = secrets.token_hex(8)
        """Tells this process from any other bridge, be it one with a copy of our data folder."""

    @property
    def owner(self) -> Owner:
        """Who makes the entities: the configuration's word, unless a request has changed it."""
        configured = self._config.home_assistant.entities
        asked: Any = self._intake.registry.entities
        return configured if configured == "off" or asked is None else asked

    def follow(self, config: Config) -> None:
        """Go by another configuration from now on; the broker stays the one that was found."""
        self._config = replace(config, mqtt=self._config.mqtt)

    def identity(self) -> dict[str, Any]:
        """Return who this process is."""
        return {
            "nonce": self.nonce,
            "instance": self.instance,
            "started_at": self._started_at,
        }

    def info(self) -> dict[str, Any]:
        """Return ``bridge/info``."""
        listen = self._config.listen
        now = self._intake.clock()
        joining = self._intake.permit_join
        transports = [name for name in ("tcp", "udp") if getattr(listen, name)]
        return {
            "version": __version__,
            "schema": SCHEMA,
            "instance": self.instance,
            "namespace": self._intake.registry.namespace,
            "epoch": self._intake.journal.epoch,
            "listen": [f"{name}://{listen.host}:{listen.port}" for name in transports],
            "protocols": [protocol.name for protocol in PROTOCOLS],
            "entities": self.owner,
            "permit_join": joining.is_open(now),
            **({"permit_join_end": joining.until} if joining.is_open(now) else {}),
            "log_level": log.current_level(),
            "restart_required": bool(self._config.waiting),
            "config": self._config.public(),
        }

    def discovery(self) -> dict[str, Any]:
        """Return ``bridge/discovery``: small, and the same until the bridge is another one."""
        return {
            "instance": self.instance,
            "namespace": self._intake.registry.namespace,
            "schema": SCHEMA,
            "base_topic": self._topics.base,
        }

    def devices(self) -> dict[str, Any]:
        """Return ``bridge/devices``."""
        vehicles = []
        for live in self._intake.vehicles.values():
            vehicle, state = live.vehicle, live.state
            row: dict[str, Any] = {
                "key": vehicle.key,
                "name": vehicle.name,
                "owner": vehicle.owner,
                "icon": vehicle.icon,
                "trackers": list(vehicle.trackers),
                "protocol": state.protocol,
                "first_seen": state.first_seen,
                "last_seen": live.last_seen,
                "reports": list(state.reported),
                "alarms": list(state.rung),
                "commands": list(abilities.commands(live)),
                "advice": live.advice,
                "private": vehicle.private,
            }
            vehicles.append({name: value for name, value in row.items() if value})
        return {"vehicles": vehicles, "guests": self._intake.guests.listed()}

    def health(self, *, lag: dict[str, int], overtaken: int) -> dict[str, Any]:
        """Return ``bridge/health``; the message rate is that since the last call."""
        intake = self._intake
        now = time.monotonic()
        since, counted = self._counted
        messages = intake.counters.messages
        self._counted = (now, messages)
        fault = intake.journal.failed
        return {
            "at": intake.clock(),
            "uptime_s": round(now - self._started),
            "rss_mb": _rss_mb(),
            "messages_per_s": round((messages - counted) / max(now - since, 1.0), 2),
            "journal_lag": lag,
            **({"journal_fault": fault} if fault else {}),
            "rejected": intake.counters.rejected,
            "refused": intake.counters.refused,
            "replies_dropped": intake.counters.replies_dropped,
            "lost": intake.counters.lost,
            "overtaken": overtaken,
            "unpublished": intake.counters.unpublished,
            **self._port(),
            "vehicles_connected": sum(
                intake.link(key, intake.clock()) == "connected" for key in intake.vehicles
            ),
            "guests": len(intake.guests),
        }

    # --- Home Assistant ---------------------------------------------------------------------------

    def entities(self) -> Iterator[tuple[str, bytes]]:
        """Yield topic and payload of every discovery message, as they should stand now.

        A component takes over in two steps, so that names and areas survive: Home Assistant lets
        its entities go, and only when the component confirms are the payloads taken away.
        """
        owner = self.owner
        for key in sorted(self._removed.keys() - self._intake.vehicles.keys()):
            yield self._discovery_topic(key), b""
        if owner == "discovery":
            for topic, payload in self._discovery_payloads():
                yield topic, payloads.encode(payload)
            return
        letting_go = owner == "component" and self.letting_go
        farewell = payloads.encode(homeassistant.migrate_payload()) if letting_go else b""
        for topic in self.discovery_topics():
            yield topic, farewell

    def discovery_topics(self) -> Iterator[str]:
        """Yield where the discovery of the bridge and of each vehicle stands."""
        for key in (BRIDGE_KEY, *self._intake.vehicles):
            yield self._discovery_topic(key)

    def removed(self, key: str, *, clear: bool) -> None:
        """Have the discovery of a vehicle that was removed taken away, until its key is back."""
        self._removed[key] = clear

    def topics_to_clear(self) -> Iterator[str]:
        """Yield the retained topics of vehicles that are gone: the broker may have been away."""
        for key, clear in self._removed.items():
            if clear and key not in self._intake.vehicles:
                yield from self.retained_topics(key)

    def retained_topics(self, key: str) -> Iterator[str]:
        """Yield the retained topics of a vehicle."""
        for leaf, retained in VEHICLE_LEAVES.items():
            if retained:
                yield self._topics.vehicle(key, leaf)

    def _discovery_topic(self, key: str) -> str:
        prefix = self._config.home_assistant.discovery_prefix
        return homeassistant.device_topic(prefix, self._intake.registry.namespace, key)

    def _discovery_payloads(self) -> Iterator[tuple[str, dict[str, Any]]]:
        namespace = self._intake.registry.namespace
        yield (
            self._discovery_topic(BRIDGE_KEY),
            homeassistant.bridge_payload(
                topics=self._topics,
                namespace=namespace,
                version=__version__,
                guests=self._intake.guests.slots(self._intake.clock()),
                permit_join_s=self._config.limits.permit_join_s,
            ),
        )
        for key, live in self._intake.vehicles.items():
            yield (
                self._discovery_topic(key),
                homeassistant.vehicle_payload(
                    topics=self._topics,
                    namespace=namespace,
                    version=__version__,
                    key=key,
                    name=live.vehicle.name,
                    icon=live.vehicle.icon or None,
                    reported=live.shows(self._intake.clock()),
                    rung=live.state.rung,
                    commands=abilities.commands(live),
                    model=_model(live.state.protocol),
                ),
            )


def _rss_mb() -> float:
    """Return the memory held now; where the system does not say, the most that ever was."""
    try:
        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    except OSError:
        return round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, 1)
    return round(pages * resource.getpagesize() / 1_048_576, 1)


def _model(protocol: str) -> str:
    return f"TK103 family ({protocol})" if protocol else "TK103 family"
