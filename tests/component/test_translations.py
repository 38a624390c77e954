"""What the component says: complete, the same in every language, and nothing that nobody hears."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from typing import Any

import probatio
import pytest
from homeassistant.helpers import config_validation as cv
from homeassistant.helpers import selector

from custom_components.tk103b import config_flow, repairs
from custom_components.tk103b.contract import BRIDGE_ENTITIES, ENTITIES, LINK_STATES

from .words import LANGUAGES, flat, placeholders, read, sources, translations

EN = translations()
ALL_ENTITIES = [*ENTITIES, *BRIDGE_ENTITIES]


def text(value: Any) -> str:
    """What Home Assistant's own check asks of every text."""
    said = cv.string(value)
    if said != said.strip():
        raise probatio.Invalid("blanks at its ends")
    if re.search(r"<[a-z/!]", said):
        raise probatio.Invalid("no HTML")
    if re.search(r"https?://", said):
        raise probatio.Invalid("an address belongs into a placeholder")
    if re.search(r"'\{\w*\}'", said):
        raise probatio.Invalid("a placeholder in single quotes")
    if "[%key:" in said:
        raise probatio.Invalid("a reference: custom components write their texts out")
    return said


def key(value: Any) -> str:
    """A key is a slug, dashes allowed, and none of both at its ends."""
    if not re.fullmatch(r"[a-z0-9]+(?:[-_]+[a-z0-9]+)*", cv.string(value)):
        raise probatio.Invalid(f"{value!r} is no key")
    return str(value)


def some(**fields: Any) -> dict[Any, Any]:
    return {probatio.Optional(name): schema for name, schema in fields.items()}


def required(**fields: Any) -> dict[Any, Any]:
    return {probatio.Required(name): schema for name, schema in fields.items()}


TEXTS = {key: text}
STEP = some(
    title=text, description=text, data=TEXTS, data_description=TEXTS, menu_options=TEXTS,
    submit=text, sections={key: some(name=text, description=text, data=TEXTS,
                                     data_description=TEXTS)},
)  # fmt: skip
FLOW = some(flow_title=text, step={key: STEP}, error=TEXTS, abort=TEXTS, progress=TEXTS)
FIX_FLOW = some(step={key: STEP}, error=TEXTS, abort=TEXTS)
SCHEMA = probatio.Schema(
    some(
        config=FLOW,
        options=some(step={key: STEP}, error=TEXTS, abort=TEXTS),
        selector={key: some(options=TEXTS)},
        issues={
            key: probatio.All(
                {**required(title=text), **some(description=text, fix_flow=FIX_FLOW)},
                cv.has_at_least_one_key("description", "fix_flow"),
                cv.has_at_most_one_key("description", "fix_flow"),
            )
        },
        exceptions={key: required(message=text)},
        services={
            key: {
                **required(name=text, description=text),
                **some(fields={key: {**required(name=text), **some(description=text)}}),
            }
        },
        entity={
            key: {
                key: some(
                    name=text,
                    state=TEXTS,
                    state_attributes={key: some(name=text, state=TEXTS)},
                    unit_of_measurement=text,
                )
            }
        },
    )
)
"""As Home Assistant's hassfest has it for custom components."""


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_form(language: str) -> None:
    SCHEMA(translations(language))


@pytest.mark.parametrize("language", LANGUAGES[1:])
def test_every_language_says_the_same_keys_in_the_same_order(language: str) -> None:
    assert [key for key, _ in flat(translations(language))] == [key for key, _ in flat(EN)]


@pytest.mark.parametrize("language", LANGUAGES[1:])
def test_every_language_fills_in_the_same_things(language: str) -> None:
    ours = dict(flat(translations(language)))
    for where, english in flat(EN):
        assert placeholders(ours[where]) == placeholders(english), where
        # Code, names of keys and addresses stay as they are.
        assert re.findall(r"`[^`]*`", ours[where]) == re.findall(r"`[^`]*`", english), where


@pytest.mark.parametrize("language", LANGUAGES[1:])
def test_hardly_anything_is_left_in_english(language: str) -> None:
    ours = dict(flat(translations(language)))
    same = [where for where, english in flat(EN) if len(english) > 25 and ours[where] == english]
    assert same == []


# --- entities -------------------------------------------------------------------------------------


def test_every_entity_has_a_name_and_no_name_is_nobodys() -> None:
    declared = {(one.platform, one.key) for one in ALL_ENTITIES if one.name is not None}
    assert declared == {
        (platform, each) for platform, ours in EN["entity"].items() for each in ours
    }


@pytest.mark.parametrize("entity", ALL_ENTITIES, ids=lambda entity: entity.key)
def test_the_english_name_is_the_one_mqtt_discovery_gives(entity: Any) -> None:
    """So that nothing changes its name when the entities change hands."""
    if entity.name is not None:
        assert EN["entity"][entity.platform][entity.key]["name"] == entity.name


@pytest.mark.parametrize("language", LANGUAGES)
def test_two_entities_of_a_device_have_two_names(language: str) -> None:
    ours = translations(language)["entity"]
    for device in (ENTITIES, BRIDGE_ENTITIES):
        names = [
            (one.platform, ours[one.platform][one.key]["name"].casefold())
            for one in device
            if one.name is not None
        ]
        assert len(set(names)) == len(names), sorted(names)


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_state_that_is_a_word_is_translated(language: str) -> None:
    ours = translations(language)["entity"]
    assert ours["sensor"]["link"]["state"].keys() == set(LINK_STATES)
    for entity in ALL_ENTITIES:
        if entity.platform == "event":
            told = ours["event"][entity.key]["state_attributes"]["event_type"]["state"]
            assert list(told) == list(entity.options)


# --- exceptions, issues ---------------------------------------------------------------------------


def calls() -> Iterator[tuple[str, ast.Call]]:
    for name, source in sources().items():
        for node in ast.walk(ast.parse(source)):
            if isinstance(node, ast.Call):
                yield name, node


def literals() -> frozenset[str]:
    """Every text that stands in the code."""
    return frozenset(
        node.value
        for source in sources().values()
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    )


def test_every_exception_is_translated() -> None:
    """All that is raised of Home Assistant's own is made by `failure`, which fills in its words."""
    for name, call in calls():
        raised = call.func.id if isinstance(call.func, ast.Name) else ""
        assert raised not in {"HomeAssistantError", "ServiceValidationError", "ConfigEntryNotReady",
                              "ConfigEntryError"}, f"{name}:{call.lineno}"  # fmt: skip
        if raised == "failure" and isinstance(told := call.args[1], ast.Constant):
            words = EN["exceptions"][told.value]["message"]
            given = {keyword.arg for keyword in call.keywords}
            assert None in given or placeholders(words) == given, f"{name}:{call.lineno}"


@pytest.mark.parametrize("section", ["exceptions", "issues"])
def test_nothing_is_translated_that_is_never_said(section: str) -> None:
    assert set(EN[section]) <= literals()


def test_every_issue_has_a_flow_that_begins_with_words() -> None:
    """`confirm`, unless its flow has steps of its own."""
    for kind, issue in EN["issues"].items():
        flow = repairs.FLOWS.get(kind, repairs.CheckFlow)
        steps = {name.removeprefix("async_step_") for name in dir(flow)}
        assert issue["fix_flow"]["step"].keys() <= steps, kind
        assert ("confirm" in issue["fix_flow"]["step"]) == issubclass(flow, repairs.CheckFlow)


def test_whatever_a_bridge_is_asked_without_an_entry_can_fail_in_words() -> None:
    """The flow that gives back says what the config flow says, but for what is no fault there."""
    asked = sources()["config_flow.py"]
    probing = set(re.findall(r'ProbeError\("(\w+)"\)', asked)) | {
        "bridge_too_old",
        "bridge_too_new",
    }
    assert probing <= EN["config"]["error"].keys()
    told = EN["issues"]["hand_back"]["fix_flow"]["error"].keys()
    assert told == probing - {"entities_off"} | {"other_bridge"}


# --- forms ----------------------------------------------------------------------------------------


def test_every_field_of_a_form_is_described() -> None:
    forms = {**EN["config"]["step"], **EN["options"]["step"]}
    for issue in EN["issues"].values():
        forms |= issue.get("fix_flow", {}).get("step", {})
    for step, form in forms.items():
        assert form.get("data", {}).keys() == form.get("data_description", {}).keys(), step


def test_every_step_of_the_flow_is_named() -> None:
    steps = {
        name.removeprefix("async_step_")
        for name in vars(config_flow.Tk103bConfigFlow)
        if name.startswith("async_step_")
    }
    assert set(EN["config"]["step"]) <= steps
    # Announced by MQTT: it shows nothing itself, but `confirm` or `take_over`.
    assert steps - set(EN["config"]["step"]) <= {"mqtt"}


@pytest.mark.parametrize("section", ["error", "abort"])
def test_every_word_of_the_flow_is_used(section: str) -> None:
    said = sources()["config_flow.py"]
    home_assistants_own = {"already_configured", "already_in_progress", "reconfigure_successful"}
    for word in EN["config"][section].keys() - home_assistants_own:
        assert f'"{word}"' in said or word in literals(), word


# --- actions --------------------------------------------------------------------------------------


def test_services_and_their_fields_are_described_as_they_are() -> None:
    services = {name: one for name, one in read("services.yaml").items() if name[0] != "."}
    assert services.keys() == EN["services"].keys()
    for name, service in services.items():
        fields = service.get("fields", {})
        assert fields.keys() == EN["services"][name].get("fields", {}).keys(), name
        for field, given in fields.items():
            selector.validate_selector(given["selector"])
            described = EN["services"][name]["fields"][field]
            assert described.get("description"), f"{name}.{field}"
            chosen = given["selector"].get("select") or {}
            if chosen:
                told = EN["selector"][chosen["translation_key"]]["options"]
                assert list(told) == list(chosen["options"])
