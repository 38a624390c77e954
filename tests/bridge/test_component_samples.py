"""What the component is tested with is what this bridge says, today."""

from __future__ import annotations

import json
from pathlib import Path
from typing import get_args

import yaml

from bridge import contract
from bridge.command import AnyCommand
from tests.bridge.component_story import PAGE, samples

ROOT = Path(__file__).parents[2]


async def test_the_samples_are_what_the_bridge_says() -> None:
    assert json.loads(PAGE.read_text("utf-8")) == await samples(), "stale: make samples"


async def test_the_story_tells_every_topic_of_a_vehicle() -> None:
    page = await samples()
    said = [message["topic"] for scene in page["scenes"].values() for message in scene]
    told = {*page["retained"], *said}
    for leaf in contract.VEHICLE_LEAVES.keys() - {"command"}:  # which people tell
        assert f"tk103b/vehicle/golf/{leaf}" in told, leaf


async def test_the_story_has_something_for_every_entity() -> None:
    page = await samples()
    rows = {row["key"]: row for row in page["retained"]["tk103b/bridge/devices"]["vehicles"]}
    known = {*rows["golf"]["reports"], *page["retained"]["tk103b/vehicle/golf/state"]}
    for entity in contract.ENTITIES:
        if entity.commands:
            assert {*entity.commands} <= {*rows["golf"]["commands"]}, entity.key
        elif not entity.always:
            assert entity.alarm in rows["golf"]["alarms"] or entity.field in known, entity.key


def test_the_component_offers_the_commands_there_are() -> None:
    services = yaml.safe_load((ROOT / "custom_components/tk103b/services.yaml").read_text("utf-8"))
    field = services["send_command"]["fields"]["command"]["selector"]["select"]["options"]
    assert field == [kind.__struct_config__.tag for kind in get_args(AnyCommand)]


def test_the_component_has_the_bridges_contract() -> None:
    ours = (ROOT / "bridge/contract.py").read_bytes()
    copy = (ROOT / "custom_components/tk103b/contract.py").read_bytes()
    assert copy == ours, "the component's contract differs from the bridge's: make contract"
