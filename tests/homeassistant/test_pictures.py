"""What a person sees in a browser. With PICTURES=FOLDER the pictures are kept there."""

from __future__ import annotations

import os
from pathlib import Path

from tests.homeassistant import story
from tests.homeassistant.browser import browsing
from tests.homeassistant.car import Car
from tests.homeassistant.household import Story
from tests.homeassistant.story import LINK, TRACKER


async def test_what_a_person_sees(begun: Story, golf: Car, tmp_path: Path) -> None:
    pictures = Path(os.environ.get("PICTURES", tmp_path))
    hass = begun.hass
    begun.bridge.start()
    hass.install()
    await hass.start()
    # The one thing it has to say against this test: that its HTTP settings stand in YAML.
    await hass.ask("repairs/ignore_issue", domain="http", issue_id="deprecated_yaml", ignore=True)
    await hass.connect(begun.mosquitto.port)
    await story.the_bridge_is_discovered_and_its_entities_are_taken_over(begun)
    await story.a_guest_is_accepted_by_its_repair(begun, golf)
    await story.it_drives_and_rings(begun, golf)
    await hass.until("binary_sensor.my_golf_ignition", "off")
    golf.stop()
    # Pictures are of what stands still: it drives on, and reports now and then.
    golf.drive(800, 60, "--interval", "10")
    await hass.until("binary_sensor.my_golf_motion", "on")
    await hass.until(LINK, "connected")
    card = {"type": "map", "entities": [TRACKER], "hours_to_show": 1, "default_zoom": 16}
    view = {"title": "Where is it?", "panel": True, "cards": [card]}
    await hass.ask("lovelace/dashboards/create", url_path="the-car", title="Car", icon="mdi:car")
    await hass.ask("lovelace/config/save", url_path="the-car", config={"views": [view]})
    async with browsing(hass, tmp_path / "chromium") as page:
        device = await begun.device("My Golf")
        await page.open(f"{hass.url}/config/devices/device/{device}")
        await page.shows("My Golf", "Ignition", "SOS", "Unsafe")
        await page.photograph(pictures / "device.png")
        await page.open(f"{hass.url}/the-car")
        await page.until("everyNode().some(node => node.localName == 'ha-entity-marker')")
        await page.photograph(pictures / "map.png")
    golf.stop()
    begun.no_complaints()
