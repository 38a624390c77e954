"""The scenes of the story in which somebody tells the tracker something."""

from __future__ import annotations

import ast
import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

from tests.conftest import eventually
from tests.homeassistant.car import Car
from tests.homeassistant.household import Story
from tests.homeassistant.network import mobile_network
from tests.homeassistant.speaking import rest
from tests.homeassistant.story import LINK, TRACKER

PHONE, WEBHOOK = "+4915100000042", "a-word-that-nobody-guesses"
ENGINE_CUT = "binary_sensor.my_golf_engine_cut"
GAP = timedelta(seconds=6)
"""So long at least no network carries what the tracker writes to its card, once a second."""


async def its_owner_allows_more(story: Story) -> None:
    """The configuration of the bridge names the vehicle now."""
    story.bridge.stop()
    await story.hass.until(TRACKER, "unavailable")
    story.bridge.environment |= {
        "TK103B__VEHICLES__MY_GOLF__COMMANDS__ENGINE_STOP": "true",
        "TK103B__VEHICLES__MY_GOLF__PHONE": PHONE,
    }
    story.bridge.start()
    await story.hass.until(TRACKER, "not_home")


async def the_engine_is_stopped_only_where_it_stands(story: Story, car: Car) -> None:
    hass, device = story.hass, await story.device("My Golf")

    async def stop() -> tuple[str, str]:
        wish = {"device_id": device, "command": "engine_stop"}
        told = await hass.answer("tk103b.send_command", **wish)
        return told["status"], told.get("reason") or told.get("answer", "")

    async def comes_to(*outcome: str) -> None:
        async def so() -> bool:
            return await stop() == outcome

        # Each try is a command of its own, in journal and log.
        await eventually(so, within_s=90, every_s=1)

    car.drive(800, 80)
    await hass.until("binary_sensor.my_golf_motion", "on")
    assert await stop() == ("refused", "session_not_trusted")
    await comes_to("refused", "too_fast")
    await hass.until("binary_sensor.my_golf_ignition", "off")
    await comes_to("acknowledged", "jt")
    await hass.until(ENGINE_CUT, "on")
    await hass.act("button.press", entity_id="button.my_golf_resume_engine")
    await hass.until(ENGINE_CUT, "off")
    car.stop()


async def text_messages_go_through_home_assistant(story: Story) -> None:
    """A gateway posts to a webhook; what it is to send is shown to us."""
    told = {"message": "{{ [message] }}", "notification_id": "sms"}
    show = {"action": "persistent_notification.create", "data": told}
    for name, inputs in (("sms_in", {"webhook": WEBHOOK}), ("sms_out", {"send": [show]})):
        used = {"path": f"tk103b/{name}.yaml", "input": inputs}
        automation = {"alias": name, "use_blueprint": used}
        await story.hass.post(f"config/automation/config/{name}", automation)
        await story.hass.until(f"automation.{name}", "on")


async def where_the_network_is_lost_it_is_asked_by_text_message(story: Story, car: Car) -> None:
    hass, device = story.hass, await story.device("My Golf")
    async with mobile_network(story.bridge.port) as network:
        car.drive(60, 12, "--port", str(network.port), "--card", "--attempts", "0")
        await hass.until("binary_sensor.my_golf_motion", "on")
        network.lose()
        lost_at = datetime.now(UTC)
        await hass.until("binary_sensor.my_golf_connectivity", "off")

        await _text(story, car)
        await story.is_at(TRACKER, "not_home", car)
        locate = {"device_id": device, "command": "request_position"}
        locating = asyncio.create_task(hass.answer("tk103b.send_command", **locate))
        assert await _sent_texts(story) == [{"to": PHONE, "text": "fix030s001n123456"}]
        await _text(story, car)
        told = await locating
        assert (told["status"], told["via"]) == ("acknowledged", "sms")

        await eventually(lambda: datetime.now(UTC) - lost_at > GAP)
        found_at = datetime.now(UTC)
        await network.find()
        await hass.until(LINK, "connected")
        await hass.until("binary_sensor.my_golf_ignition", "off")
        day = f"{found_at:%Y-%m-%d}"
        upload = {"device_id": device, "command": "upload_log", "arguments": {"day": day}}
        gap = {"start_time": lost_at.isoformat(), "end_time": found_at.isoformat()}
        assert len(await _places(story, device, **gap)) <= 2, "only those of the texts"
        told = await hass.answer("tk103b.send_command", **upload)
        assert told["status"] == "acknowledged", told
        assert len(await _places(story, device, **gap)) > 2
        car.stop()


async def _text(story: Story, car: Car) -> None:
    """Have the tracker text where it is, and the gateway hand that on.

    Its own clock, which tells no seconds, is left out: the text would be older than what came last.
    """
    latitude, longitude = car.place
    text = (
        f"lat:{latitude:.6f}\nlong:{longitude:.6f}\nspeed:0.00\n"
        f"http://maps.google.com/maps?f=q&q={latitude:.6f},{longitude:.6f}&z=16\n"
        "Pwr: ON Door: OFF ACC: ON"
    )
    sms = {"phoneNumber": PHONE, "message": text, "receivedAt": datetime.now(UTC).isoformat()}
    await rest("POST", f"{story.hass.url}/api/webhook/{WEBHOOK}", body={"payload": sms})


async def _sent_texts(story: Story) -> list[dict[str, str]]:
    async def shown() -> list[dict[str, str]]:
        told = await story.hass.ask("persistent_notification/get")
        texts = [one["message"] for one in told if one["notification_id"] == "sms"]
        return [dict(text) for text in ast.literal_eval(texts[0])] if texts else []

    found = await eventually(shown)
    assert isinstance(found, list)
    return found


async def _places(story: Story, device: str, **span: str) -> list[dict[str, Any]]:
    track = await story.hass.answer("tk103b.get_track", device_id=device, **span)
    return list(track["points"])
