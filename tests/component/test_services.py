"""The actions ask the bridge what they are asked, and say in words what is wrong."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest
from freezegun.api import FrozenDateTimeFactory
from homeassistant.auth.models import User
from homeassistant.core import Context, HomeAssistant
from homeassistant.exceptions import HomeAssistantError, ServiceValidationError, Unauthorized
from homeassistant.helpers import device_registry as dr
from homeassistant.setup import async_setup_component
from pytest_homeassistant_custom_component.common import MockConfigEntry

from custom_components.tk103b import services
from custom_components.tk103b.contract import ALARM_KINDS, BRIDGE_KEY
from custom_components.tk103b.export import gpx, legs

from .broker import Broker
from .conftest import DOMAIN, set_up
from .fake_bridge import (
    GOLF,
    GUEST_TRACKER,
    NOW,
    SPARE_TRACKER,
    VAN,
    FakeBridge,
    samples,
)

GPX = "{http://www.topografix.com/GPX/1/1}"


def device(hass: HomeAssistant, bridge: FakeBridge, key: str = GOLF) -> str:
    """Return the id of the device of a vehicle, or of the bridge."""
    identifier = (DOMAIN, bridge.device(key))
    return next(one.id for one in dr.async_get(hass).devices if identifier in one.identifiers)


async def act(
    hass: HomeAssistant, action: str, context: Context | None = None, **fields: Any
) -> Any:
    return await hass.services.async_call(
        DOMAIN, action, fields, blocking=True, return_response=True, context=context
    )


def answers(name: str) -> Any:
    return samples()["answers"][name]["response"]["data"]


# --- reading --------------------------------------------------------------------------------------


async def test_get_track(
    hass: HomeAssistant,
    bridge: FakeBridge,
    running: MockConfigEntry,
    freezer: FrozenDateTimeFactory,
) -> None:
    freezer.move_to(NOW)
    said = await act(hass, "get_track", device_id=device(hass, bridge))
    assert said == {"points": answers("get_track")["points"], "complete": True}
    assert bridge.requests("get_track") == [
        {"key": GOLF, "from": "2026-11-04T08:20:00+00:00", "to": "2026-11-05T08:20:00+00:00"}
    ]


async def test_times_without_a_zone_are_those_of_home_assistant(
    hass: HomeAssistant, bridge: FakeBridge, running: MockConfigEntry
) -> None:
    await hass.config.async_set_time_zone("Europe/Berlin")
    await act(
        hass,
        "get_track",
        device_id=device(hass, bridge),
        start_time="2026-07-01T12:00:00+05:00",
        end_time="2026-07-01 10:00:00",
        all_reports=True,
    )
    assert bridge.requests("get_track") == [
        {
            "key": GOLF,
            "from": "2026-07-01T07:00:00+00:00",
            "to": "2026-07-01T08:00:00+00:00",
            "all": True,
        }
    ]


def in_pages(bridge: FakeBridge, verb: str, pages: list[dict[str, Any]]) -> None:
    """Answer with one page after the other, each with the number of the next."""

    def page(body: dict[str, Any]) -> dict[str, Any]:
        number = int(body.get("after", 0))
        more = {"next": str(number + 1)} if number + 1 < len(pages) else {}
        return {**pages[number], **more}

    bridge.answers[verb] = page


async def test_pages_are_put_together(
    hass: HomeAssistant, bridge: FakeBridge, running: MockConfigEntry
) -> None:
    points = answers("get_track")["points"]
    in_pages(bridge, "get_track", [{"points": points[:3]}, {"points": []}, {"points": points[3:]}])
    said = await act(hass, "get_track", device_id=device(hass, bridge))
    assert said == {"points": points, "complete": True}
    assert [body.get("after") for body in bridge.requests("get_track")] == [None, "1", "2"]


@pytest.mark.parametrize(("most", "complete"), [(3, False), (5, False), (6, True), (7, True)])
async def test_too_much_is_cut_and_said(
    hass: HomeAssistant,
    bridge: FakeBridge,
    running: MockConfigEntry,
    monkeypatch: pytest.MonkeyPatch,
    most: int,
    complete: bool,
) -> None:
    monkeypatch.setattr(services, "MOST_POINTS", most)
    points = answers("get_track")["points"][:6]
    in_pages(bridge, "get_track", [{"points": points[:3]}, {"points": points[3:]}])
    said = await act(hass, "get_track", device_id=device(hass, bridge))
    assert said == {"points": points[:most], "complete": complete}


async def test_get_trips(hass: HomeAssistant, bridge: FakeBridge, running: MockConfigEntry) -> None:
    recorded = answers("get_trips")
    said = await act(hass, "get_trips", device_id=device(hass, bridge))
    assert said == {**recorded, "complete": True}
    first, second = recorded["trips"]
    in_pages(
        bridge,
        "get_trips",
        [{"trips": [first], "stops": []}, {"trips": [second], "stops": recorded["stops"]}],
    )
    said = await act(hass, "get_trips", device_id=device(hass, bridge))
    assert said == {**recorded, "complete": True}


@pytest.mark.parametrize(
    "span",
    [
        {"end_time": "0001-01-01T00:00:00"},
        {"start_time": "9999-12-31T23:59:59-11:00"},
        {"end_time": "0001-01-01T00:00:00+05:00"},
    ],
)
async def test_a_time_that_nobody_can_count_in(
    hass: HomeAssistant, bridge: FakeBridge, running: MockConfigEntry, span: dict[str, str]
) -> None:
    with pytest.raises(ServiceValidationError) as refused:
        await act(hass, "get_trips", device_id=device(hass, bridge), **span)
    assert refused.value.translation_key == "no_such_time"


@pytest.mark.parametrize("action", ["get_track", "get_trips", "export_track"])
async def test_the_start_lies_before_the_end(
    hass: HomeAssistant, bridge: FakeBridge, running: MockConfigEntry, action: str
) -> None:
    with pytest.raises(ServiceValidationError) as refused:
        await act(
            hass,
            action,
            device_id=device(hass, bridge),
            start_time="2026-11-05 08:00:00",
            end_time="2026-11-05 08:00:00",
        )
    assert refused.value.translation_key == "start_after_end"
    assert bridge.asked == []


# --- exporting ------------------------------------------------------------------------------------


@pytest.fixture
def media(hass: HomeAssistant, tmp_path: Path) -> Path:
    hass.config.media_dirs = {"other": str(tmp_path / "other"), "local": str(tmp_path / "media")}
    return tmp_path / "media" / "tk103b"


SPAN = {"start_time": "2026-11-05 00:00:00+00:00", "end_time": "2026-11-06 00:00:00+00:00"}


async def test_export_gpx(
    hass: HomeAssistant, bridge: FakeBridge, running: MockConfigEntry, media: Path
) -> None:
    await hass.config.async_set_time_zone("UTC")
    said = await act(hass, "export_track", device_id=device(hass, bridge), **SPAN)
    points, trips = answers("get_track")["points"], answers("get_trips")["trips"]
    path = media / "golf_20261105-0000_20261106-0000.gpx"
    assert said == {"path": str(path), "points": len(points), "trips": len(trips)}
    assert list(media.iterdir()) == [path], "no draft is left behind"
    root = ET.fromstring(path.read_text("utf-8"))  # noqa: S314 - written a moment ago
    assert root.get("version") == "1.1"
    assert next(iter(root)).tag == f"{GPX}metadata"
    assert root.findtext(f"{GPX}trk/{GPX}name") == "My Golf"
    segments = root.findall(f"{GPX}trk/{GPX}trkseg")
    assert len(segments) >= len(trips)
    drawn = segments[0].findall(f"{GPX}trkpt")
    first = next(point for point in points if point["time"] == trips[0]["started_at"])
    assert float(drawn[0].get("lat", "")) == pytest.approx(first["latitude"], abs=1e-7)
    assert float(drawn[0].get("lon", "")) == pytest.approx(first["longitude"], abs=1e-7)
    assert [child.tag.removeprefix(GPX) for child in drawn[0]] == ["ele", "time", "sat", "hdop"]
    assert drawn[0].findtext(f"{GPX}time") == trips[0]["started_at"]
    rung = [alarm for point in points for alarm in point.get("rang", ())]
    assert rung
    assert [one.text for one in root.iterfind(f"{GPX}wpt/{GPX}name")] == rung


async def test_export_geojson(
    hass: HomeAssistant, bridge: FakeBridge, running: MockConfigEntry, media: Path
) -> None:
    said = await act(
        hass,
        "export_track",
        device_id=device(hass, bridge),
        format="geojson",
        file_name="Holiday 2026",
        **SPAN,
    )
    assert said["path"] == str(media / "Holiday 2026.geojson")
    features = json.loads(Path(said["path"]).read_text("utf-8"))["features"]
    lines = [one for one in features if one["geometry"]["type"] == "LineString"]
    points, trips = answers("get_track")["points"], answers("get_trips")["trips"]
    assert len(lines) == len(list(legs(points, trips)))
    for line in lines:
        assert len(line["geometry"]["coordinates"]) == len(line["properties"]["times"]) >= 2
    start = trips[0]["start"]
    assert lines[0]["geometry"]["coordinates"][0] == [start["longitude"], start["latitude"]]
    assert lines[0]["properties"]["times"][0] == trips[0]["started_at"]
    alarms = [one["properties"]["alarm"] for one in features if one not in lines]
    assert alarms == [alarm for point in points for alarm in point.get("rang", ())]


async def test_a_file_of_the_same_name_is_replaced(
    hass: HomeAssistant, bridge: FakeBridge, running: MockConfigEntry, media: Path
) -> None:
    media.mkdir(parents=True)
    today = media / "today.gpx"
    for name in ("today", "today.gpx"):
        today.write_text("yesterday")
        await act(hass, "export_track", device_id=device(hass, bridge), file_name=name, **SPAN)
        assert today.read_text("utf-8").startswith("<?xml")
    assert list(media.iterdir()) == [today]


@pytest.mark.parametrize(
    "name", ["../x", "a/b", "/etc/x", "a\\b", ".hidden", "..", "a\0b", "a\nb", "ä", "x" * 101, "-"]
)
async def test_file_names_lead_nowhere_else(
    hass: HomeAssistant, bridge: FakeBridge, running: MockConfigEntry, media: Path, name: str
) -> None:
    with pytest.raises(ServiceValidationError) as refused:
        await act(hass, "export_track", device_id=device(hass, bridge), file_name=name)
    assert refused.value.translation_key == "invalid_file_name"
    assert bridge.asked == []
    assert not media.parent.exists()


async def test_the_first_media_folder_does_where_there_is_no_local_one(
    hass: HomeAssistant, bridge: FakeBridge, running: MockConfigEntry, tmp_path: Path
) -> None:
    hass.config.media_dirs = {"nas": str(tmp_path)}
    said = await act(hass, "export_track", device_id=device(hass, bridge), file_name="x", **SPAN)
    assert said["path"] == str(tmp_path / "tk103b" / "x.gpx")


async def test_no_media_folder(
    hass: HomeAssistant, bridge: FakeBridge, running: MockConfigEntry
) -> None:
    hass.config.media_dirs = {}
    with pytest.raises(ServiceValidationError) as refused:
        await act(hass, "export_track", device_id=device(hass, bridge))
    assert refused.value.translation_key == "no_media_folder"


async def test_a_folder_that_cannot_be_written(
    hass: HomeAssistant, bridge: FakeBridge, running: MockConfigEntry, media: Path
) -> None:
    media.parent.mkdir()
    media.write_text("a file where the folder should be")
    with pytest.raises(HomeAssistantError) as failed:
        await act(hass, "export_track", device_id=device(hass, bridge), file_name="x")
    assert failed.value.translation_key == "cannot_write"
    assert failed.value.translation_placeholders == {
        "path": str(media / "x.gpx"),
        "error": "File exists",
    }


async def test_a_file_that_cannot_be_written_leaves_no_draft(
    hass: HomeAssistant, bridge: FakeBridge, running: MockConfigEntry, media: Path
) -> None:
    (media / "x.gpx").mkdir(parents=True)
    with pytest.raises(HomeAssistantError) as failed:
        await act(hass, "export_track", device_id=device(hass, bridge), file_name="x")
    assert failed.value.translation_key == "cannot_write"
    assert [one.name for one in media.iterdir()] == ["x.gpx"]


async def test_too_long_a_track(
    hass: HomeAssistant,
    bridge: FakeBridge,
    running: MockConfigEntry,
    media: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(services, "MOST_EXPORTED", 5)
    with pytest.raises(ServiceValidationError) as refused:
        await act(hass, "export_track", device_id=device(hass, bridge))
    assert refused.value.translation_key == "track_too_long"
    assert not media.exists()


# --- the ways of a track --------------------------------------------------------------------------


def point(minute: int, place: float, verdict: str = "ok") -> dict[str, Any]:
    moment = datetime(2026, 11, 5, 8, tzinfo=UTC).timestamp() + minute * 60
    return {
        "time": datetime.fromtimestamp(moment, UTC).isoformat(),
        "latitude": place,
        "longitude": 13.0,
        "verdict": verdict,
    }


def trip(start: int, end: int) -> Any:
    return {"started_at": point(start, 0)["time"], "ended_at": point(end, 0)["time"]}


def minutes(points: list[dict[str, Any]], *trips: Any) -> list[list[int]]:
    begin = datetime(2026, 11, 5, 8, tzinfo=UTC)
    return [
        [int((datetime.fromisoformat(one["time"]) - begin).total_seconds() // 60) for one in leg]
        for leg in legs(points, trips)
    ]


def test_a_leg_is_a_trip_or_what_was_driven_besides() -> None:
    drive = [point(minute, 52 + minute / 100) for minute in range(10)]
    assert minutes(drive) == [list(range(10))]
    assert minutes(drive, trip(2, 5)) == [[0, 1], [2, 3, 4, 5], [6, 7, 8, 9]]
    assert minutes(drive, trip(0, 4), trip(5, 9)) == [[0, 1, 2, 3, 4], [5, 6, 7, 8, 9]]
    assert minutes([]) == []


def test_what_stands_draws_no_line() -> None:
    stands = [point(minute, 52 + minute / 1e6, "parked") for minute in range(5)]
    assert minutes(stands) == []
    assert minutes(stands, trip(1, 3)) == [[1, 2, 3]], "but a stop on a trip is a part of it"
    assert minutes([point(0, 52), point(1, 52)]) == []
    assert minutes([point(0, 52), point(1, 52), point(2, 53)]) == [[0, 1, 2]]


def test_numbers_in_gpx_have_no_exponent() -> None:
    near_zero = [{**point(0, 0.00001), "altitude_m": 120.0, "hdop": 1e-5}, point(1, -0.00002)]
    (drawn, other) = ET.fromstring(gpx("Null & <Island>", near_zero, [])).iter(f"{GPX}trkpt")  # noqa: S314 - written a moment ago
    assert drawn.attrib == {"lat": "0.00001", "lon": "13"}
    assert other.get("lat") == "-0.00002"
    assert (drawn.findtext(f"{GPX}ele"), drawn.findtext(f"{GPX}hdop")) == ("120", "0.00001")


def test_a_silence_parts() -> None:
    assert minutes([point(n, 52 + n / 100) for n in (0, 1, 61, 122, 123)]) == [
        [0, 1, 61],
        [122, 123],
    ]


def test_a_trip_without_points_parts_what_lies_around_it() -> None:
    drive = [point(n, 52 + n / 100) for n in (0, 1, 10, 11)]
    assert minutes(drive, trip(3, 8)) == [[0, 1], [10, 11]]


# --- changing -------------------------------------------------------------------------------------


async def test_accept_tracker(
    hass: HomeAssistant, bridge: FakeBridge, running: MockConfigEntry
) -> None:
    said = await act(hass, "accept_tracker", tracker=GUEST_TRACKER, name="Boat")
    assert said == {"key": "boat", "name": "Boat", "waited": True}
    assert bridge.requests("device/accept") == [{"id": GUEST_TRACKER, "name": "Boat"}]
    said = await act(
        hass,
        "accept_tracker",
        device_id=device(hass, bridge, BRIDGE_KEY),
        tracker=SPARE_TRACKER,
        name="Bus",
        key="the_bus",
        owner="Ada",
    )
    assert said["waited"] is False
    assert bridge.requests("device/accept")[1] == {
        "id": SPARE_TRACKER,
        "name": "Bus",
        "key": "the_bus",
        "owner": "Ada",
    }


async def test_accept_tracker_needs_to_know_which_bridge_where_there_are_two(
    hass: HomeAssistant, broker: Broker, bridge: FakeBridge, running: MockConfigEntry
) -> None:
    boats = FakeBridge(hass, broker, base_topic="boats", instance="b0a7", namespace="boats")
    boats.payloads[boats.topics.bridge_info]["entities"] = "component"
    boats.serve()
    other = MockConfigEntry(
        domain=DOMAIN,
        unique_id="b0a7",
        data={"base_topic": "boats", "instance": "b0a7", "namespace": "boats"},
    )
    other.add_to_hass(hass)
    await set_up(hass, boats, other)
    with pytest.raises(ServiceValidationError):
        await act(hass, "accept_tracker", tracker=GUEST_TRACKER, name="Boat")
    await act(
        hass,
        "accept_tracker",
        tracker=GUEST_TRACKER,
        name="Boat",
        device_id=device(hass, boats, BRIDGE_KEY),
    )
    assert bridge.requests("device/accept") == []
    assert len(boats.requests("device/accept")) == 1


async def test_replace_tracker(
    hass: HomeAssistant, bridge: FakeBridge, running: MockConfigEntry
) -> None:
    said = await act(hass, "replace_tracker", device_id=device(hass, bridge), tracker=SPARE_TRACKER)
    assert said == {"key": GOLF, "trackers": [SPARE_TRACKER]}
    await act(
        hass,
        "replace_tracker",
        device_id=device(hass, bridge, VAN),
        tracker=GUEST_TRACKER,
        old="864000000005678",
    )
    assert bridge.requests("device/replace") == [
        {"key": GOLF, "id": SPARE_TRACKER},
        {"key": VAN, "id": GUEST_TRACKER, "old": "864000000005678"},
    ]


async def test_acknowledge_alarm(
    hass: HomeAssistant, bridge: FakeBridge, running: MockConfigEntry
) -> None:
    bridge.play("drives", "sos")
    said = await act(hass, "acknowledge_alarm", device_id=device(hass, bridge), alarm="sos")
    assert said == {"key": GOLF, "alarms": ["sos"]}
    bridge.play("sos again")
    await act(hass, "acknowledge_alarm", device_id=device(hass, bridge))
    assert bridge.requests("device/acknowledge") == [{"key": GOLF, "alarm": "sos"}, {"key": GOLF}]


async def test_what_changes_a_bridge_is_for_administrators(
    hass: HomeAssistant,
    bridge: FakeBridge,
    running: MockConfigEntry,
    hass_read_only_user: User,
    hass_admin_user: User,
) -> None:
    guest, admin = Context(user_id=hass_read_only_user.id), Context(user_id=hass_admin_user.id)
    wish = {"tracker": GUEST_TRACKER, "name": "Boat"}
    with pytest.raises(Unauthorized):
        await act(hass, "accept_tracker", guest, **wish)
    with pytest.raises(Unauthorized):
        await act(
            hass, "replace_tracker", guest, tracker=GUEST_TRACKER, device_id=device(hass, bridge)
        )
    assert bridge.asked == []
    await act(hass, "accept_tracker", admin, **wish)


# --- what is wrong --------------------------------------------------------------------------------


async def test_the_bridge_is_no_vehicle(
    hass: HomeAssistant, bridge: FakeBridge, running: MockConfigEntry
) -> None:
    with pytest.raises(ServiceValidationError) as refused:
        await act(hass, "get_track", device_id=device(hass, bridge, BRIDGE_KEY))
    assert refused.value.translation_key == "not_a_vehicle"
    assert refused.value.translation_placeholders == {"device": "TK103B Bridge"}


async def test_a_device_of_somebody_else(
    hass: HomeAssistant, bridge: FakeBridge, running: MockConfigEntry
) -> None:
    other = MockConfigEntry(domain="sun")
    other.add_to_hass(hass)
    lamp = dr.async_get(hass).async_get_or_create(
        config_entry_id=other.entry_id, identifiers={("sun", "lamp")}
    )
    for one in (lamp.id, "nothing"):
        with pytest.raises(ServiceValidationError):
            await act(hass, "get_track", device_id=one)
    assert bridge.asked == []


async def test_the_bridge_says_no(
    hass: HomeAssistant, bridge: FakeBridge, running: MockConfigEntry
) -> None:
    bridge.refuse("get_track", "golf is in private mode: none of its places leaves the bridge")
    with pytest.raises(HomeAssistantError, match="private mode"):
        await act(hass, "get_track", device_id=device(hass, bridge))


async def test_the_bridge_is_away(
    hass: HomeAssistant, bridge: FakeBridge, running: MockConfigEntry
) -> None:
    bridge.goes()
    with pytest.raises(HomeAssistantError) as failed:
        await act(hass, "get_trips", device_id=device(hass, bridge))
    assert failed.value.translation_key == "bridge_offline"


async def test_the_actions_are_there_without_any_entry(hass: HomeAssistant) -> None:
    hass.config.components.add("mqtt")
    assert await async_setup_component(hass, DOMAIN, {})
    assert set(hass.services.async_services_for_domain(DOMAIN)) == set(services.ACTIONS)
    with pytest.raises(ServiceValidationError):
        await act(hass, "accept_tracker", tracker=GUEST_TRACKER, name="Boat")


async def test_the_entry_is_not_loaded(
    hass: HomeAssistant, bridge: FakeBridge, running: MockConfigEntry
) -> None:
    device_id = device(hass, bridge)
    await hass.config_entries.async_unload(running.entry_id)
    with pytest.raises(ServiceValidationError):
        await act(hass, "get_track", device_id=device_id)


def test_services_yaml_offers_what_the_actions_take() -> None:
    from homeassistant.util.yaml import load_yaml_dict  # noqa: PLC0415

    page = Path(services.__file__).with_name("services.yaml")
    described = {
        name: action
        for name, action in load_yaml_dict(str(page)).items()
        if not name.startswith(".")
    }
    assert {name: set(action["fields"]) for name, action in described.items()} == {
        name: {str(field) for field in action.fields} for name, action in services.ACTIONS.items()
    }
    assert {
        (name, field)
        for name, action in described.items()
        for field, one in action["fields"].items()
        if one.get("required")
    } == {
        (name, str(field))
        for name, action in services.ACTIONS.items()
        for field in action.fields
        if type(field).__name__ == "Required"
    }
    alarms = described["acknowledge_alarm"]["fields"]["alarm"]["selector"]["select"]["options"]
    assert alarms == list(ALARM_KINDS)
