"""The button with which a person says that the alarms are seen."""

from __future__ import annotations

import pytest
from homeassistant.core import HomeAssistant
from homeassistant.exceptions import HomeAssistantError

from .fake_bridge import GOLF, FakeBridge

SEEN = {"entity_id": "button.golf_acknowledge"}
EPISODE = {
    "since": "2026-11-05T09:00:00Z",
    "last": "2026-11-05T09:00:00Z",
    "count": 1,
    "episode": 9,
}


@pytest.mark.usefixtures("running")
async def test_a_press_ends_the_alarms(hass: HomeAssistant, bridge: FakeBridge) -> None:
    bridge.tell(GOLF, "state", alarms={"sos": EPISODE, "door": EPISODE})
    await bridge.settled()
    assert hass.states.get("binary_sensor.golf_sos_alarm").state == "on"

    await hass.services.async_call("button", "press", SEEN, blocking=True)
    await bridge.settled()
    assert bridge.asked == [("device/acknowledge", {"key": GOLF})]
    assert hass.states.get("binary_sensor.golf_sos_alarm").state == "off"
    assert hass.states.get("binary_sensor.golf_door_alarm").state == "off"


@pytest.mark.usefixtures("running")
async def test_a_refusal_is_shown(hass: HomeAssistant, bridge: FakeBridge) -> None:
    bridge.refuse("device/acknowledge", "no alarm of golf is going on")
    with pytest.raises(HomeAssistantError, match="no alarm of golf is going on"):
        await hass.services.async_call("button", "press", SEEN, blocking=True)
