"""The whole story: nothing is lost and nothing comes twice, whoever restarts."""

from __future__ import annotations

from tests.homeassistant import story, talking_back
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
    spare = await story.the_tracker_is_replaced(begun, golf)
    await talking_back.its_owner_allows_more(begun)
    await talking_back.the_engine_is_stopped_only_where_it_stands(begun, spare)
    await talking_back.text_messages_go_through_home_assistant(begun)
    await talking_back.where_the_network_is_lost_it_is_asked_by_text_message(begun, spare)
    await story.the_entry_is_removed(begun)
    begun.no_complaints()
