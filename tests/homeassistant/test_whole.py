"""The whole story: nothing is lost and nothing comes twice, whoever restarts."""

from __future__ import annotations

from tests.homeassistant import story
from tests.homeassistant.car import Car
from tests.homeassistant.household import Story


async def test_the_whole_story(begun: Story, golf: Car) -> None:
    await story.mqtt_discovery_alone_makes_a_car_of_a_guest(begun)
    await story.people_make_it_theirs(begun)
    await story.the_bridge_is_discovered_and_its_entities_are_taken_over(begun)
    await story.it_is_still_theirs(begun)
    await story.a_guest_is_accepted_by_its_repair(begun, golf)
    await story.it_drives_and_rings(begun, golf)
    await story.it_is_acknowledged_and_parks(begun, golf)
    await story.it_sleeps(begun)
    await story.the_broker_restarts(begun)
    await story.home_assistant_restarts_and_has_missed_an_sos(begun, golf)
    await story.the_tracker_is_replaced(begun, golf)
    await story.the_entry_is_removed(begun)
    begun.no_complaints()
