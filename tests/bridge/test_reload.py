"""Another configuration while the bridge runs: what changes in place, what waits, who wins."""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable
from dataclasses import fields, replace
from pathlib import Path

import pytest

from bridge import log, supervisor
from bridge.cli.supervised import prepare
from bridge.config import (
    DEFAULT_FILE,
    SECTIONS,
    Access,
    Alarms,
    Config,
    Limits,
    Positions,
    Trips,
    VehicleConfig,
)
from bridge.errors import BridgeError, ConfigError, RequestError
from bridge.registry import Registry
from bridge.reload import (
    BY_REQUEST,
    IN_PLACE,
    Reload,
    Source,
    different,
    in_place,
    with_chosen,
)
from tests.bridge.port import GOLF, LOAD, ON, VAN, heartbeat, login, position, serving
from tests.conftest import eventually

OPTIONS = [(section, option.name) for section, one in SECTIONS.items() for option in fields(one)]


def with_other(config: Config, section: str, option: str) -> Config:
    """The same but for one option, whose value is a new one."""
    return replace(config, **{section: replace(getattr(config, section), **{option: object()})})


# --- laws of the two sides ---


@pytest.mark.parametrize(("section", "option"), OPTIONS)
def test_an_option_either_holds_now_or_waits(section, option):
    started = Config()
    wanted = with_other(started, section, option)
    held = in_place(started, wanted)
    name, now = f"{section}.{option}", option in IN_PLACE.get(section, ())
    assert list(different(started, held)) == [name] * now
    assert held.waiting == (name,) * (not now)
    assert in_place(started, held).waiting == ()


@pytest.mark.parametrize(("section", "option"), OPTIONS)
def test_what_is_taken_back_waits_no_longer(section, option):
    started = Config()
    assert in_place(started, started) == started
    assert in_place(started, replace(with_other(started, section, option))).waiting != () or (
        option in IN_PLACE[section]
    )
    assert in_place(started, Config()).waiting == ()


def test_the_tables_name_options_that_there_are():
    for table in (IN_PLACE, BY_REQUEST):
        assert {(section, one) for section in table for one in table[section]} <= set(OPTIONS)


def test_no_request_can_touch_what_opens_something():
    assert not BY_REQUEST.keys() & {"listen", "mqtt", "storage", "vehicles"}
    assert "access" not in BY_REQUEST, "permit_join opens the door, and for a while only"
    assert "history" not in BY_REQUEST, "a smaller one removes what nobody can bring back"


# --- a file and a registry ---


class Desk:
    """A configuration file, a registry, and what is told to those who follow."""

    def __init__(self, folder: Path, text: str = "") -> None:
        self.file = folder / "car.yaml"
        self.file.write_text(text)
        self.registry = Registry.open(folder / "data", "tk103b")
        self.told: list[Config] = []
        self.start()

    def start(self) -> None:
        source = Source(self.file, {})
        read = source.read()
        self.registry.merge_yaml(read.vehicles, read.access.block)
        self.reload = Reload(read, source, self.registry)
        self.reload.followers.append(self.told.append)

    async def write(self, text: str) -> Config:
        self.file.write_text(text)
        await self.reload.reload()
        return self.reload.config

    def choose(self, **sections: object) -> Config:
        self.reload.choose(sections)
        return self.reload.config


@pytest.fixture
def desk(tmp_path: Path) -> Callable[[str], Desk]:
    (tmp_path / "data").mkdir()
    return lambda text="": Desk(tmp_path, text)


async def test_what_the_file_says_now_holds(desk, caplog):
    caplog.set_level("INFO", "bridge")
    here = desk("trips: {gap_s: 1800}\n")
    config = await here.write("trips: {min_stop_s: 60}\nlimits: {frame_s: 60, guests: 30}\n")
    assert config.trips == Trips(min_stop_s=60)
    assert config.limits == Limits(frame_s=60)
    assert config.waiting == ("limits.guests",)
    assert here.told == [config]
    assert "trips.min_stop_s, trips.gap_s, limits.frame_s, limits.guests" in caplog.text
    assert "wait for a restart: limits.guests" in caplog.text
    here.start()
    assert here.reload.config.limits == Limits(frame_s=60, guests=30)
    assert here.reload.config.waiting == ()


async def test_the_same_file_changes_nothing(desk, caplog):
    text = f"vehicles: {{golf: {{trackers: [{GOLF}], name: Golf}}}}\ntrips: {{gap_s: 1800}}\n"
    here = desk(text)
    here.choose(alarms={"auto_receipt": False})
    caplog.set_level("INFO", "bridge")
    before, stored = here.reload.config, (here.registry._path).read_bytes()
    assert await here.write(f"# a word\n\n{text}") == replace(
        before, vehicles=(replace(before.vehicles[0], where=f"{here.file}:3"),)
    )
    assert here.registry._path.read_bytes() == stored
    assert "anew: nothing changed" in caplog.text


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("trips: {gap_s: 1800}\nlog:\n\tlevel: x\n", "car.yaml:3: this is no YAML"),
        ("trips:\n  gap_s: soon\n", "car.yaml:2: trips.gap_s must be a whole number"),
        (
            f"vehicles:\n  golf: {{trackers: [{GOLF}]}}\n  van: {{trackers: [{GOLF}]}}\n",
            "car.yaml:3: tracker",
        ),
    ],
)
async def test_a_broken_file_changes_nothing(desk, caplog, text, told):
    here = desk("trips: {gap_s: 600}\n")
    before = here.reload.config
    assert await here.write(text) is before
    assert here.told == []
    assert here.registry.accepted() == ()
    assert f"stays as it was: {here.file.parent}/{told}" in caplog.text
    assert (await here.write("trips: {gap_s: 700}\n")).trips.gap_s == 700


async def test_a_file_that_is_gone_changes_nothing(desk, caplog):
    here = desk("trips: {gap_s: 600}\n")
    here.file.unlink()
    await here.reload.reload()
    assert here.reload.config.trips.gap_s == 600
    assert "cannot be read" in caplog.text


@pytest.mark.parametrize("left", ["", "\n", "# vehicles are\n\n  # named below\n"])
async def test_a_file_that_says_nothing_any_more_changes_nothing(desk, caplog, left):
    here = desk("trips: {gap_s: 600}\n")
    before = here.reload.config
    assert await here.write(left) is before
    assert f"stays as it was: {here.file}: says nothing any more" in caplog.text
    with pytest.raises(ConfigError, match="says nothing any more"):
        await here.reload.check()
    assert (await here.write("{}\n")).trips == Trips()


async def test_a_file_that_never_said_anything_may_go_on_so(desk, caplog):
    here = desk("# nothing yet\n")
    assert await here.write("") == Config()
    assert (await here.write("trips: {gap_s: 600}\n")).trips.gap_s == 600
    await here.write("")
    assert here.reload.config.trips.gap_s == 600
    assert "says nothing any more" in caplog.text


async def test_the_file_of_the_folder_is_missed_once_it_was_found(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    source = Source(None, {})
    assert (source.read(), source.found) == (Config(), None)
    DEFAULT_FILE.write_text("trips: {gap_s: 600}\n")
    for _ in range(2):
        assert source.read().trips.gap_s == 600
    DEFAULT_FILE.unlink()
    assert source.found == DEFAULT_FILE
    with pytest.raises(ConfigError, match="cannot be read"):
        source.read()


@pytest.mark.parametrize("text", [r'mqtt: {host: "\UFFFFFFFF"}', f"a: {'[' * 600}"])
async def test_a_file_that_stumbles_the_reader_changes_nothing(desk, caplog, text):
    here = desk("trips: {gap_s: 600}\n")
    before = here.reload.config
    assert await here.write(text) is before
    assert f"stays as it was: {here.file}: " in caplog.text


async def test_a_new_password_is_kept_out_of_the_log(desk, caplog):
    here = desk()
    await here.write("mqtt: {username: me, password: correct-horse}\n")
    assert log.mask("correct-horse") == "***"
    assert here.reload.config.mqtt.password is None
    assert set(here.reload.config.waiting) == {"mqtt.host", "mqtt.username", "mqtt.password"}
    assert "correct-horse" not in caplog.text


# --- by request ---


def test_a_choice_holds_and_is_kept(desk):
    here = desk()
    config = here.choose(trips={"gap_s": 1800, "min_stop_s": "60"}, alarms={"auto_receipt": False})
    assert (config.trips, config.alarms) == (
        Trips(gap_s=1800, min_stop_s=60),
        Alarms(auto_receipt=False),
    )
    assert here.told == [config]
    again = Registry.open(here.registry._path.parent, "tk103b")
    assert again.options == {
        "trips": {"gap_s": 1800, "min_stop_s": 60},
        "alarms": {"auto_receipt": False},
    }
    assert with_chosen(Config(), again.options).trips == config.trips
    assert here.choose(trips={"gap_s": None, "min_stop_s": None}).trips == Trips()
    assert here.registry.options == {"alarms": {"auto_receipt": False}}


def test_what_needs_a_restart_waits_for_one(desk):
    here = desk()
    config = here.choose(limits={"guests": 7, "permit_join_s": 60})
    assert config.limits == Limits(permit_join_s=60)
    assert config.waiting == ("limits.guests",)
    here.start()
    assert here.reload.config.limits == Limits(permit_join_s=60, guests=7)
    assert here.choose(limits={"guests": None}).waiting == ("limits.guests",)


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"trips": {"gap_s": 5}}, "trips.gap_s must be a whole number from 60 to 86400, not '5'"),
        ({"trips": {"gap_s": 1.5}}, "trips.gap_s must be a whole number from 60 to"),
        ({"trips": {"gap_s": [60]}}, "trips.gap_s must be a single value"),
        ({"trips": {"gap": 60}}, r"trips.gap is no option \(did you mean gap_s\?\)"),
        ({"trip": {"gap_s": 60}}, r"trip is no option \(did you mean trips\?\)"),
        ({"log": {"level": "debgu"}}, r"log.level must be debug, .* \(did you mean debug\?\)"),
        ({"log": "debug"}, "log must be a block"),
        ({"alarms": {"auto_receipt": "perhaps"}}, "alarms.auto_receipt must be true or false"),
        ({"trips": {"min_stop_s": 60}}, "trips.min_stop_s stands in .*car.yaml:1: change it there"),
        ({"mqtt": {"password": "hunter22"}}, "mqtt.password cannot be set by request"),
        ({"mqtt": {"host": "evil"}}, "mqtt.host cannot be set by request"),
        ({"listen": {"port": 1}}, "listen.port cannot be set by request"),
        ({"access": {"allow": ["864000000001234"]}}, "access.allow cannot be set by request"),
        ({"access": {"unknown": "accept"}}, "access.unknown cannot be set by request"),
        ({"history": {"days": 1}}, "history.days cannot be set by request"),
        ({"vehicles": {"golf": {}}}, "vehicles.golf cannot be set by request"),
        ({"x" * 9000: {"y": 1}}, "so long a name"),
    ],
)
def test_a_choice_that_cannot_be_changes_nothing(desk, options, told):
    here = desk("trips: {min_stop_s: 90}\n")
    with pytest.raises(BridgeError, match=told) as refused:
        here.reload.choose({"positions": {"max_speed_kmh": 60}, **options})
    assert "hunter22" not in str(refused.value)
    assert here.registry.options == {}
    assert here.reload.config.positions == Positions()
    assert here.told == []


async def test_the_file_wins_over_a_choice_and_gives_it_back(desk):
    here = desk()
    here.choose(trips={"gap_s": 1800})
    assert (await here.write("trips: {gap_s: 600}\n")).trips.gap_s == 600
    with pytest.raises(RequestError, match=r"stands in .*car\.yaml:1"):
        here.choose(trips={"gap_s": None})
    assert (await here.write("trips: {gap_s: }\n")).trips.gap_s == 1800


def test_a_choice_of_another_version_is_left_out(desk, caplog):
    here = desk()
    here.registry.set_options({"trips": {"gap_s": 1, "colour": "red"}, "mqtt": {"host": "x"}})
    assert with_chosen(Config(), here.registry.options) == Config()
    assert "left out now: trips.gap_s must be" in caplog.text


# --- the rooms that follow ---


async def test_a_vehicle_gets_its_rules_and_a_waiting_guest_is_let_in(tmp_path):
    new = "864000000009999"
    async with serving(tmp_path, vehicles={GOLF: "golf"}) as port:
        wire, guest = await port.known(GOLF), await port.dial()
        await guest.say(login(new) + position(new))
        await guest.hear(LOAD)
        await eventually(lambda: port.intake.guests.knows(new))
        car = VehicleConfig(
            key="golf", name="Red", positions={"max_speed_kmh": 60}, given=frozenset({"name"})
        )
        boat = VehicleConfig(key="boat", trackers=(new,), given=frozenset({"trackers"}))
        config = replace(port.intake.config, vehicles=(car, boat), limits=Limits(idle_s=99))
        port.intake.registry.merge_yaml(config.vehicles)
        port.intake.follow(config)
        golf = port.intake.vehicles["golf"]
        assert (golf.vehicle.name, golf.limits.max_speed_kmh) == ("Red", 60)
        assert port.listener._gate.limits.idle_s == 99
        await eventually(lambda: port.journalled("boat") != [])
        for one, device_id in ((wire, GOLF), (guest, new)):
            await one.say(heartbeat(device_id))
            await one.hear(ON)


async def test_a_tracker_that_was_blocked_or_taken_away_is_hung_up_on(tmp_path):
    async with serving(tmp_path, vehicles={GOLF: "golf", VAN: "van"}) as port:
        golf, van = await port.known(GOLF), await port.known(VAN)
        config = replace(port.intake.config, access=Access(block=(VAN,)))
        port.intake.registry.merge_yaml((), config.access.block)
        port.intake.follow(config)
        await van.hung_up()
        await golf.say(heartbeat(GOLF))
        await golf.hear(ON)


async def test_a_zone_that_was_corrected_holds_for_the_next_frame(tmp_path):
    car = VehicleConfig(key="golf", timezone_minutes=60, given=frozenset({"timezone_minutes"}))
    async with serving(tmp_path, vehicles={GOLF: "golf"}) as port:
        wire = await port.known(GOLF)
        session = port.intake.sessions.of(GOLF)
        port.intake.registry.merge_yaml((car,))
        port.intake.follow(replace(port.intake.config, vehicles=(car,)))
        assert session.connection._context.utc_offset_minutes == 60
        await wire.say(heartbeat(GOLF))
        await wire.hear(ON)


def test_under_home_assistant_the_options_are_read_once(monkeypatch):
    """The account of the image may not read them, so a bridge that begins again goes by those."""
    asked = []

    def consult(*_):
        asked.append(1)
        return supervisor.Supervised({"TK103B__LOG__LEVEL": "debug"}, None)

    monkeypatch.setattr(os, "environ", {})
    monkeypatch.setattr(supervisor, "supervised", lambda *_: True)
    monkeypatch.setattr(supervisor, "consult", consult)
    monkeypatch.setattr(supervisor, "give_up_root", lambda *_: None)
    for _ in range(2):
        prepare(argparse.Namespace(config=None))
    assert asked == [1]
    assert os.environ["TK103B__LOG__LEVEL"] == "debug"
