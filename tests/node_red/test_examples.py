"""The flows of the examples as files: whole, alike, and short enough to be read. No Node-RED."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.node_red.server import BROKER, EXAMPLES

FLOWS = {path.stem: json.loads(path.read_text()) for path in sorted(EXAMPLES.glob("*.json"))}
ROOT = Path(__file__).parents[2]
LONGEST_FUNCTION = 45
"""Lines: what a screen holds."""
CORE = {
    "catch", "comment", "debug", "delay", "function", "http in", "http request", "http response",
    "inject", "link in", "link out", "mqtt in", "mqtt out", "mqtt-broker", "switch", "tab",
}  # fmt: skip
MAP = {"worldmap", "worldmap in"}


@pytest.mark.parametrize("name", FLOWS)
def test_a_flow_is_whole(name: str) -> None:
    ids = [node["id"] for node in FLOWS[name]]
    assert len(ids) == len(set(ids))
    tab, *nodes, broker = FLOWS[name]
    assert (tab["type"], broker["id"], broker["type"]) == ("tab", BROKER, "mqtt-broker")
    assert tab["label"].startswith("TK103B: ")
    for node in nodes:
        assert node["z"] == tab["id"]
        assert node.get("broker", BROKER) == BROKER
        assert node["type"] in (CORE | MAP if name == "live-map" else CORE)
        for output in node["wires"]:
            assert {*output} <= {*ids}
    wired = {target for node in nodes for output in node["wires"] for target in output}
    begin = {"comment", "catch", "http in", "inject", "link in", "mqtt in", "worldmap in"}
    assert wired == {node["id"] for node in nodes if node["type"] not in begin}


@pytest.mark.parametrize("name", FLOWS)
def test_a_flow_says_what_to_change(name: str) -> None:
    tab, *nodes, _ = FLOWS[name]
    (comment,) = (node for node in nodes if node["type"] == "comment")
    for variable in tab["env"]:
        used = json.dumps(nodes)
        assert f'env.get(\\"{variable["name"]}\\")' in used or f"${{{variable['name']}}}" in used
    assert "broker" in comment["info"]


@pytest.mark.parametrize("name", FLOWS)
def test_functions_fit_on_a_screen(name: str) -> None:
    for node in FLOWS[name]:
        lines = node.get("func", "").splitlines()
        assert len(lines) <= LONGEST_FUNCTION, node["id"]
        assert all(len(line) <= 110 for line in lines), node["id"]
        assert not lines or lines[0].startswith("// ")


def test_all_share_one_broker_and_nothing_else() -> None:
    brokers = [nodes[-1] for nodes in FLOWS.values()]
    assert all(broker == brokers[0] for broker in brokers)
    others = [node["id"] for nodes in FLOWS.values() for node in nodes[:-1]]
    assert len(others) == len(set(others))


@pytest.mark.parametrize("page", ["examples/node-red/README.md", "docs/node-red.md"])
def test_every_flow_is_told_of(page: str) -> None:
    text = (ROOT / page).read_text()
    assert all(f"{name}.json" in text for name in FLOWS)
