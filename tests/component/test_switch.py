"""Private mode, and letting the next new tracker in: as the bridge says, not as we hope."""

from __future__ import annotations

from typing import Any

import pytest
from homeassistant.core import HomeAssistant
from homeassistant.exceptions import HomeAssistantError

from .fake_bridge import GOLF, FakeBridge

PRIVATE, PERMIT_JOIN = "switch.golf_private", "switch.tk103b_bridge_permit_join"


@pytest.mark.usefixtures("running")
@pytest.mark.parametrize(
    ("switch", "verb", "on", "off"),
    [
        (
            PRIVATE,
            "device/private",
            {"key": GOLF, "enabled": True},
            {"key": GOLF, "enabled": False},
        ),
        (PERMIT_JOIN, "permit_join", {}, {"time": 0}),
    ],
)
async def test_asks_and_shows_what_the_bridge_makes_of_it(
    hass: HomeAssistant,
    bridge: FakeBridge,
    switch: str,
    verb: str,
    on: dict[str, Any],
    off: dict[str, Any],
) -> None:
    shown = [hass.states.get(switch).state]
    for action in ("turn_on", "turn_off"):
        await hass.services.async_call("switch", action, {"entity_id": switch}, blocking=True)
        await bridge.settled()
        shown.append(hass.states.get(switch).state)
    assert shown == ["off", "on", "off"]
    assert bridge.asked == [(verb, on), (verb, off)]


@pytest.mark.usefixtures("running")
@pytest.mark.parametrize("switch", [PRIVATE, PERMIT_JOIN])
async def test_stays_as_it_is_where_the_bridge_says_no(
    hass: HomeAssistant, bridge: FakeBridge, switch: str
) -> None:
    for verb in ("device/private", "permit_join"):
        bridge.refuse(verb, "the configuration says otherwise")
    with pytest.raises(HomeAssistantError, match="the configuration says otherwise"):
        await hass.services.async_call("switch", "turn_on", {"entity_id": switch}, blocking=True)
    assert hass.states.get(switch).state == "off"


@pytest.mark.usefixtures("running")
async def test_the_bridge_closes_the_door_by_itself(
    hass: HomeAssistant, bridge: FakeBridge
) -> None:
    shown = []
    for is_open in (True, False, None):
        bridge.tell_info(permit_join=is_open)
        await bridge.settled()
        shown.append(hass.states.get(PERMIT_JOIN).state)
    assert shown == ["on", "off", "unknown"]
