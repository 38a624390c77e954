"""Diagnostics help strangers to help, and tell them nothing of where, who and by what number."""

from __future__ import annotations

import json
from http import HTTPStatus
from typing import Any

import pytest
from homeassistant.core import HomeAssistant
from homeassistant.helpers import device_registry as dr
from homeassistant.setup import async_setup_component
from pytest_homeassistant_custom_component.common import MockConfigEntry
from pytest_homeassistant_custom_component.typing import ClientSessionGenerator

from custom_components.tk103b.contract import BRIDGE_KEY, State
from custom_components.tk103b.diagnostics import PAYLOADS, PRIVATE, SHOWN, shown

from .conftest import DOMAIN
from .fake_bridge import GOLF, FakeBridge

REDACTED = "**REDACTED**"

IMEI = "358271946502837"
PHONE = "+49 (170) 482-73 91"
PLACE = {"latitude": 47.918273, "longitude": -8.364519}
ADDRESS = "203.0.113.77"
PERSON = "Ottilie"


@pytest.fixture
async def canary(bridge: FakeBridge, running: MockConfigEntry) -> FakeBridge:
    """A bridge that tells a secret wherever it has a place for one, and where it has none."""
    key = f"car_{IMEI[-6:]}"
    prose = f"call {PERSON} on {PHONE}, tracker {IMEI}, at {ADDRESS}"
    secret: dict[str, Any] = {**PLACE, "imei": IMEI, "note": prose, "altitude_m": 8364519.5}
    inner = {**secret, "deeper": [secret, IMEI, [prose]]}
    bridge.tell_info(
        listen=[f"tcp://{ADDRESS}:8888"],
        instance=bridge.instance,
        config={"mqtt": {"host": ADDRESS, "port": 1883, "list": [prose]}, "log": prose},
        later=inner,
    )
    bridge.tell_health(journal_fault=prose, journal_lag={"mqtt": 3, ADDRESS: 4}, later=inner)
    bridge.tell_vehicle(
        key, name=f"{PERSON} {IMEI}", owner=PERSON, trackers=[IMEI, IMEI[-11:]], icon=prose,
        advice=prose, later=inner, protocol=f"gps {IMEI} {PHONE} {ADDRESS}",
    )  # fmt: skip
    place = {**PLACE, "cell": {"mcc": 262, "mnc": 1, "lac": 35827, "cid": 50283}, **inner}
    bridge.tell(key, "position", gps_accuracy=5, **place)
    trip = {"distance_km": 3.5, "start": PLACE, "end": PLACE, **place}
    bridge.tell(
        key, "state", name=PERSON, link="connected", trip=trip, last_trip=trip,
        alarms={"sos": {"since": "2026-11-05T08:00:00Z", **inner}, IMEI: inner}, **place,
    )  # fmt: skip
    topic = bridge.topics.vehicle(key, "last_alarm")
    bridge.say(topic, {"event_type": "sos", "keyword": prose, **place}, retain=True)
    waiting = {"id": IMEI, "reports": 3, "has_position": True, "protocol": IMEI, **inner}
    bridge._tell_devices(guests=[waiting])
    await bridge.settled()
    return bridge


async def fetched(
    hass: HomeAssistant, client: ClientSessionGenerator, entry: MockConfigEntry, device: str = ""
) -> Any:
    """Download diagnostics as a person does, with what Home Assistant adds to them."""
    assert await async_setup_component(hass, "diagnostics", {})
    await hass.async_block_till_done()
    session = await client()
    tail = f"/device/{device}" if device else ""
    answer = await session.get(f"/api/diagnostics/config_entry/{entry.entry_id}{tail}")
    assert answer.status == HTTPStatus.OK
    return await answer.json()


def secrets_in(page: Any) -> set[str]:
    """Return what of the canary can be read in a page."""
    text = json.dumps(page, ensure_ascii=False)
    runs = {IMEI[start : start + 5] for start in range(len(IMEI) - 4)}
    phone = {"482-73", "48273", "170) 482"}
    place = {str(abs(value))[:6] for value in PLACE.values()} | {"8364519", "35827", "50283"}
    return {one for one in runs | phone | place | {ADDRESS, PERSON} if one in text}


def test_the_canary_would_be_seen() -> None:
    assert secrets_in({"a": f"x{IMEI}y"})
    assert secrets_in([PLACE["longitude"]])
    assert secrets_in({PERSON: 1})
    assert not secrets_in({"a": "2026-11-05T08:00:00Z"})


async def test_no_secret_in_those_of_an_entry(
    hass: HomeAssistant,
    canary: FakeBridge,
    running: MockConfigEntry,
    hass_client: ClientSessionGenerator,
) -> None:
    page = await fetched(hass, hass_client, running)
    assert page["issues"], "issues go with it: a waiting tracker is one, wrong time zone another"
    assert secrets_in(page) == set()


@pytest.mark.parametrize("key", [f"car_{IMEI[-6:]}", BRIDGE_KEY])
async def test_no_secret_in_those_of_a_device(
    hass: HomeAssistant,
    canary: FakeBridge,
    running: MockConfigEntry,
    hass_client: ClientSessionGenerator,
    key: str,
) -> None:
    identifier = (DOMAIN, canary.device(key))
    device = next(one for one in dr.async_get(hass).devices if identifier in one.identifiers)
    page = await fetched(hass, hass_client, running, device.id)
    assert secrets_in(page) == set()
    assert page["data"]["bridge"]["online"] is True
    assert ("vehicle" in page["data"]) == (key != BRIDGE_KEY)


async def test_what_helps_is_there(
    hass: HomeAssistant,
    bridge: FakeBridge,
    running: MockConfigEntry,
    hass_client: ClientSessionGenerator,
) -> None:
    hass.config_entries.async_update_entry(running, options={"alarms": ["sos"]})
    data = (await fetched(hass, hass_client, running))["data"]
    assert data["options"] == {"alarms": ["sos"]}
    info, health = data["bridge"]["info"], data["bridge"]["health"]
    assert (info["version"], info["schema"], info["entities"]) == ("0.1.0", 1, "component")
    assert info["config"]["trips"]["min_distance_m"] == 200
    assert info["config"]["mqtt"]["base_topic"] == REDACTED
    assert health["journal_lag"] == {"mqtt": 0}
    golf, van = data["vehicles"]
    assert golf["row"]["protocol"] == "gps103"
    assert golf["row"]["key"] == golf["row"]["trackers"] == REDACTED
    assert golf["state"]["last_seen"] == "2026-11-05T08:00:00Z"
    assert golf["state"]["odometer_km"] == 123456.7
    assert golf["position"]["latitude"] == REDACTED
    assert golf["position"]["gps_accuracy"] == 10
    assert golf["last_alarm"]["event_type"] == "idle"
    assert not golf["removed"]
    assert not van["removed"]
    assert data["bridge"]["guests"][0]["reports"] == 2


async def test_a_removed_vehicle_is_marked_and_a_forgotten_one_is_nothing(
    hass: HomeAssistant,
    bridge: FakeBridge,
    running: MockConfigEntry,
    hass_client: ClientSessionGenerator,
) -> None:
    bridge.answers["device/remove"]({"key": GOLF})
    await bridge.settled()
    identifier = (DOMAIN, bridge.device(GOLF))
    device = next(one for one in dr.async_get(hass).devices if identifier in one.identifiers)
    page = await fetched(hass, hass_client, running, device.id)
    assert page["data"]["vehicle"]["removed"] is True
    running.runtime_data.async_forget(GOLF)
    page = await fetched(hass, hass_client, running, device.id)
    assert page["data"]["vehicle"] == {}


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("2026-11-05T08:20:00.123456Z", "2026-11-05T08:20:00.123456Z"),
        ("2026-11-05T08:20:00+00:00", "2026-11-05T08:20:00+00:00"),
        ("12.345.6789", "12.345.6789"),
        ("gps103", "gps103"),
        ("call 0170/4827391 now", "call ** now"),
        ("35 82 71 94 65 02 83 7", "**"),
        ("2026-11-05T08:20:00Z 358271946502837", "**T08:20:00Z **"),
        (ADDRESS, "**"),
    ],
)
def test_numbers_in_prose(text: str, told: str) -> None:
    assert shown(text) == told


def test_every_field_of_a_person_or_a_place_is_held_back() -> None:
    names = {name for payload in PAYLOADS for name in payload.__annotations__}
    assert names >= PRIVATE, "no name in the list is a slip of the pen"
    assert not PRIVATE & SHOWN
    assert set(State.__annotations__) - PRIVATE <= SHOWN
