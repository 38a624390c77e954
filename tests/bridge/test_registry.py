"""Who was accepted stays accepted: through restarts, damage, configuration and requests."""

import json
import os
import re
import stat
import subprocess
import sys
from datetime import UTC, datetime
from types import SimpleNamespace

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bridge import acquaintance, registry
from bridge.acquaintance import free_key, holders, is_key
from bridge.config import VehicleConfig
from bridge.errors import ConfigError, RequestError, StorageError
from bridge.registry import Registry, Vehicle, lock_folder

ID = "864000000000017"
OTHER = "864000000000025"
THIRD = "864000000000033"
SHORT = "00000000017"


def car(key="golf", where="cars.yaml:3", timezone_minutes=None, **fields) -> VehicleConfig:
    """A vehicle as the configuration gives it."""
    return VehicleConfig(
        key=key, where=where, timezone_minutes=timezone_minutes, given=frozenset(fields), **fields
    )


@pytest.fixture
def known(tmp_path) -> Registry:
    return Registry.open(tmp_path, "tk103b")


def again(known: Registry) -> Registry:
    return Registry.open(known._path.parent, "another/topic")


def content(known: Registry):
    return json.loads(known._path.read_text())


# Identity and the file.


def test_a_new_registry_is_on_disk_private_and_keeps_its_identity(known):
    assert stat.S_IMODE(known._path.stat().st_mode) == 0o600
    assert content(known) == {
        "schema": 1,
        "instance": known.instance,
        "namespace": "tk103b",
        "entities": None,
        "vehicles": [],
        "blocked": [],
    }
    assert re.fullmatch("[0-9a-f]{8}", known.instance)
    later = again(known)
    assert (later.instance, later.namespace) == (known.instance, "tk103b")


@pytest.mark.parametrize(
    ("topic", "namespace"),
    [("tk103b", "tk103b"), ("Home/My-Trackers", "home_my_trackers"), ("___", "tk103b")],
)
def test_the_namespace_is_the_slug_of_the_first_base_topic(tmp_path, topic, namespace):
    assert Registry.open(tmp_path, topic).namespace == namespace


def test_what_the_file_holds(known):
    known.accept(ID, name="My Golf", owner="Anna")
    known.block(OTHER)
    known.set_owner("component")
    stored = content(known)
    accepted_at = stored["vehicles"][0].pop("accepted_at")
    assert accepted_at.endswith("Z")
    assert abs((datetime.now(UTC) - datetime.fromisoformat(accepted_at)).total_seconds()) < 60
    assert stored["vehicles"] == [
        {
            "key": "my_golf",
            "name": "My Golf",
            "owner": "Anna",
            "icon": "",
            "trackers": [ID],
            "removed": False,
        }
    ]
    assert (stored["blocked"], stored["entities"]) == ([OTHER], "component")


def test_every_change_is_on_disk_when_it_returns(known):
    def same():
        later = again(known)
        assert later._content == known._content
        return True

    known.accept(ID, name="Golf")
    assert same()
    known.rename("golf", "Polo")
    assert same()
    known.replace("golf", "", OTHER)
    assert same()
    known.block(THIRD)
    assert same()
    known.set_owner("off")
    assert same()
    known.remove("golf", block=True)
    assert same()
    known.forget("golf")
    assert same()


def test_the_predecessor_is_the_state_before(known):
    known.accept(ID, name="Golf")
    before = known._path.read_bytes()
    known.accept(OTHER, name="Van")
    older = known._path.with_name("registry.json.1")
    assert older.read_bytes() == before
    assert stat.S_IMODE(older.stat().st_mode) == 0o600
    known._change()
    assert older.read_bytes() == before, "a change of nothing must not cost the predecessor"


@pytest.mark.parametrize(
    "damage",
    [
        b"",
        b"\0" * 300,
        b"{",
        b"[]",
        b'{"schema": 1}',
        b"\xff\xfe",
        b'{"schema":1,"instance":"a","namespace":"b\xff","entities":null}',
    ],
)
def test_a_damaged_file_yields_to_its_predecessor(known, damage):
    known.accept(ID, name="Golf")
    known.accept(OTHER, name="Van")
    known._path.write_bytes(damage)
    later = again(known)
    assert [vehicle.key for vehicle in later.accepted()] == ["golf"]
    (notice,) = later.notices
    assert "registry.json is damaged" in notice
    assert "predecessor" in notice
    assert known._path.with_name("registry.json.damaged").read_bytes() == damage
    assert again(known).notices == []
    later.accept(THIRD, name="Bus")
    assert [vehicle.key for vehicle in again(known).accepted()] == ["golf", "bus"]


def test_a_file_lost_between_two_renames_yields_to_its_predecessor(known):
    known.accept(ID, name="Golf")
    known._path.replace(known._path.with_name("registry.json.1"))
    later = again(known)
    assert [vehicle.key for vehicle in later.accepted()] == ["golf"]
    assert "is missing" in later.notices[0]
    assert (later.instance, later.namespace) == (known.instance, "tk103b")


@settings(max_examples=60, deadline=None)
@given(cut=st.integers(0, 400))
def test_a_torn_file_is_never_taken_for_whole(tmp_path_factory, cut):
    folder = tmp_path_factory.mktemp("torn")
    known = Registry.open(folder, "tk103b")
    known.accept(ID, name="Golf")
    known.accept(OTHER, name="Van")
    whole = known._path.read_bytes().rstrip()
    known._path.write_bytes(whole[: min(cut, len(whole) - 1)])
    assert [vehicle.key for vehicle in again(known).accepted()] == ["golf"]


def test_both_damaged_is_an_error_that_touches_neither(known):
    known.accept(ID, name="Golf")
    older = known._path.with_name("registry.json.1")
    for path in (known._path, older):
        path.write_bytes(b"{")
    with pytest.raises(StorageError, match=r"registry\.json is damaged .* start anew"):
        again(known)
    assert known._path.read_bytes() == older.read_bytes() == b"{"


@pytest.mark.parametrize(
    "change",
    [
        {"key": "Golf"},
        {"key": "bridge"},
        {"key": "van"},
        {"trackers": [OTHER]},
        {"trackers": ["../../x"]},
    ],
)
def test_what_contradicts_itself_is_damaged(known, change):
    known.accept(OTHER, name="Van")
    known.accept(ID, name="Golf")
    stored = content(known)
    stored["vehicles"][1].update(change)
    known._path.write_text(json.dumps(stored))
    assert "is damaged" in again(known).notices[0]


def test_a_newer_file_is_refused_though_its_predecessor_is_not(known):
    known.accept(ID, name="Golf")
    known._path.write_text(json.dumps(content(known) | {"schema": 2, "vehicles": "otherwise"}))
    with pytest.raises(StorageError, match=r"newer version .*\(schema 2"):
        again(known)


def test_what_cannot_be_written_has_not_happened(known):
    known.accept(ID, name="Golf")
    known._path.with_name("registry.json.new").mkdir()
    with pytest.raises(StorageError, match=r"cannot write .*registry\.json: Is a directory"):
        known.accept(OTHER, name="Van")
    with pytest.raises(StorageError):
        known.merge_yaml([car(name="Polo")], blocked=[THIRD])
    assert known.match(OTHER) is None
    assert known.vehicle("golf").name == "Golf"
    assert not known.is_blocked(THIRD)
    assert known.notices == []
    assert again(known)._content == known._content


def test_what_cannot_be_read_is_named(tmp_path):
    (tmp_path / "registry.json").mkdir()
    with pytest.raises(StorageError, match=r"cannot read .*registry\.json: Is a directory"):
        Registry.open(tmp_path, "tk103b")
    with pytest.raises(StorageError, match=r"cannot write .*registry\.json: No such file"):
        Registry.open(tmp_path / "nowhere", "tk103b")


# Whose tracker is it?


def test_short_forms_match_by_themselves_only_for_one_imei(known):
    golf = known.accept(ID, name="Golf")
    for form in (ID, SHORT, f"0{SHORT}"):
        assert known.match(form) == golf
    for form in (ID[:14], ID[-10:], ID[-12:], f"1{SHORT}", f"00{SHORT}", ""):
        assert known.match(form) is None or form == f"0{SHORT}"
    twin = "354000000000017"
    known.accept(twin, name="Twin")
    assert known.match(SHORT) is None
    assert known.match(f"0{SHORT}") is None
    assert known.match(ID) == golf
    known.remove("twin", block=False)
    assert known.match(SHORT) == golf


def test_a_listed_short_form_wins_over_one_by_itself(known):
    known.merge_yaml([car(trackers=(ID,)), car("van", trackers=(SHORT,))])
    assert known.match(SHORT).key == "van"
    assert known.match(f"0{SHORT}").key == "golf"


def test_short_forms_of_other_ids_are_strangers(known):
    known.accept("A64000000000017", name="Letters")
    known.accept("640000000017", name="Twelve")
    assert known.match(SHORT) is None


@given(
    ids=st.lists(
        st.from_regex(r"[0-9]{4}0000000000[0-3]", fullmatch=True), unique=True, max_size=6
    ),
    asked=st.from_regex(r"0?0000000000[0-3]", fullmatch=True),
)
def test_a_short_form_is_somebodys_exactly_where_one_imei_ends_with_it(ids, asked):
    now = datetime.now(UTC)
    vehicles = [Vehicle(key=f"v{one}", name="", trackers=(one,), accepted_at=now) for one in ids]
    whose = holders(vehicles, refused=())
    candidates = [v for v in vehicles if v.trackers[0][-11:] == asked[-11:]]
    if len(candidates) == 1:
        assert whose[asked] is candidates[0]
    else:
        assert asked not in whose


# Accept, block, remove, forget.


def test_a_key_is_made_of_the_name_and_digits_where_that_is_taken(known):
    assert known.accept(ID, name="Žluťoučký kůň").key == "zlutoucky_kun"
    assert known.accept(OTHER, name="žluťoučký  Kůň!").key == "zlutoucky_kun_0025"
    assert known.accept("864000000010025", name="zlutoucky kun").key == "zlutoucky_kun_10025"
    assert known.accept(THIRD).key == "tracker_0033"
    assert known.vehicle("tracker_0033").name == "Tracker 0033"
    assert known.accept("864000000000041", name="Bridge").key == "bridge_0041"
    assert known.accept("AB1", name="🚗").key == "tracker_ab1"
    assert known.accept("ab1", name="🚗").key == "tracker_ab1_2"


@given(
    name=st.text(max_size=80),
    device_id=st.from_regex(r"[A-Za-z0-9]{1,32}", fullmatch=True),
    rivals=st.integers(0, 40),
)
def test_there_is_always_a_free_legal_key(name, device_id, rivals):
    taken: set[str] = set()
    for _ in range(rivals + 1):
        key = free_key(name, device_id, taken)
        assert is_key(key)
        assert key not in taken
        taken.add(key)


def test_a_chosen_key_is_kept_and_checked(known):
    assert known.accept(ID, key="dads_car") == known.match(ID)
    assert known.vehicle("dads_car").name == "Dads Car"
    with pytest.raises(RequestError, match="dads_car is taken"):
        known.accept(OTHER, key="dads_car")
    for bad in ("Dad", "a-b", "a/b", "x" * 41, "bridge", "sms", "vehicle", "ü"):
        with pytest.raises(RequestError, match="cannot be a key"):
            known.accept(OTHER, key=bad)
    assert known.match(OTHER) is None


@pytest.mark.parametrize("bad", ["", "86400000000001-", "1" * 33, "1\n", "٣", "a b"])
def test_ids_are_checked_before_they_touch_anything(known, bad):
    known.accept(ID, name="Golf")
    for change in (known.accept, known.block, lambda one: known.replace("golf", ID, one)):
        with pytest.raises(RequestError, match="is no tracker id"):
            change(bad)


@pytest.mark.parametrize("bad", ["x" * 81, "two\nlines", "bell\a"])
def test_names_are_one_printable_line(known, bad):
    known.accept(ID, name="Golf")
    with pytest.raises(RequestError, match="the name must be one line"):
        known.accept(OTHER, name=bad)
    with pytest.raises(RequestError, match="the owner must be one line"):
        known.accept(OTHER, owner=bad)
    with pytest.raises(RequestError, match="the name must be one line"):
        known.rename("golf", bad)
    with pytest.raises(RequestError, match="needs a name"):
        known.rename("golf", "  ")


def test_an_id_belongs_to_one_vehicle(known):
    known.accept(ID, name="Golf")
    for form in (ID, SHORT, f"0{SHORT}"):
        with pytest.raises(RequestError, match=f"{form} already belongs to golf"):
            known.accept(form, name="Thief")
        with pytest.raises(RequestError, match=f"{form} belongs to golf: remove"):
            known.block(form)


def test_accepting_takes_a_block_back(known):
    known.block(ID)
    known.block(ID)
    assert known.is_blocked(ID)
    assert content(known)["blocked"] == [ID]
    known.accept(ID, name="Golf")
    assert not known.is_blocked(ID)
    assert known.match(ID).key == "golf"
    assert content(known)["blocked"] == []


def test_a_blocked_short_form_is_nobodys(known):
    known.block(SHORT)
    known.accept(ID, name="Golf")
    assert known.match(SHORT) is None
    assert known.match(f"0{SHORT}").key == "golf"


def test_a_removed_vehicle_keeps_its_key_until_it_is_forgotten(known):
    known.accept(ID, name="Golf", owner="Anna")
    removed = known.remove("golf", block=False)
    assert (removed.trackers, removed.removed) == ((ID,), False)
    assert known.accepted() == ()
    assert known.match(ID) is known.match(SHORT) is None
    assert not known.is_blocked(ID)
    with pytest.raises(RequestError, match="no vehicle 'golf'"):
        known.rename("golf", "Polo")
    assert known.accept(OTHER, name="Golf").key == "golf_0025"
    with pytest.raises(RequestError, match="'golf_0025' is no removed vehicle"):
        known.forget("golf_0025")
    known.forget("golf")
    with pytest.raises(RequestError, match="'golf' is no removed vehicle"):
        known.forget("golf")
    assert known.accept(ID, name="Golf").owner == ""


def test_accepting_with_a_removed_key_restores_with_that_tracker_only(known):
    known.accept(ID, name="Golf", owner="Anna")
    known.remove("golf", block=False)
    restored = again(known).accept(OTHER, key="golf")
    assert (restored.name, restored.owner, restored.trackers) == ("Golf", "Anna", (OTHER,))
    assert not restored.removed
    later = again(known)
    assert later.match(ID) is None
    assert later.match(OTHER).key == "golf"


def test_removed_and_blocked(known):
    known.accept(ID, name="Golf")
    known.remove("golf", block=True)
    assert known.is_blocked(ID)
    with pytest.raises(RequestError, match="no vehicle"):
        known.remove("golf", block=True)


def test_rename_changes_the_name_alone(known):
    known.accept(ID, name="Golf")
    assert known.rename("golf", " Polo ").name == "Polo"
    assert known.match(ID).key == "golf"
    assert known.match(ID).name == "Polo"


def test_replace_puts_another_tracker_in_the_same_place(known):
    known.accept(ID, name="Golf")
    assert known.replace("golf", "", OTHER).trackers == (OTHER,)
    assert known.match(ID) is None
    known.merge_yaml([car(trackers=(OTHER, ID, SHORT))])
    known.merge_yaml([])
    with pytest.raises(RequestError, match="several trackers: say which"):
        known.replace("golf", "", THIRD)
    with pytest.raises(RequestError, match=f"'{THIRD}' is no tracker of golf"):
        known.replace("golf", THIRD, THIRD)
    with pytest.raises(RequestError, match=f"{OTHER} already belongs to golf"):
        known.replace("golf", ID, OTHER)
    known.block(THIRD)
    assert known.replace("golf", ID, THIRD).trackers == (OTHER, THIRD)
    assert not known.is_blocked(THIRD)
    assert known.match(SHORT) is None, "the short form of a replaced IMEI is the same box"


def test_replace_gives_a_first_tracker_to_a_vehicle_without_one(known):
    known.merge_yaml([car(name="Golf")])
    assert known.replace("golf", "", ID).trackers == (ID,)


def test_the_owner_of_entities_is_kept(known):
    assert known.entities is None
    known.set_owner("component")
    assert again(known).entities == "component"
    with pytest.raises(RequestError, match="one of discovery, component, off"):
        known.set_owner("me")


# The configuration.


def test_yaml_fields_win_and_the_others_stay(known):
    known.accept(ID, name="Golf", owner="Anna")
    known.merge_yaml([car(name="My Golf", icon="mdi:car", timezone_minutes=60)])
    golf = known.match(ID)
    assert (golf.name, golf.owner, golf.icon, golf.trackers) == (
        "My Golf", "Anna", "mdi:car", (ID,),
    )  # fmt: skip
    assert (golf.from_yaml, golf.timezone_minutes) == (True, 60)
    assert known.notices == []
    later = again(known)
    assert later.match(ID) == msgspec.structs.replace(golf, from_yaml=False, timezone_minutes=None)


def test_yaml_creates_vehicles_and_out_of_yaml_they_stay(known):
    known.merge_yaml([car("dads_car", trackers=(ID,)), car("van", name="Van")])
    assert known.match(ID).name == "Dads Car"
    assert [vehicle.key for vehicle in known.accepted()] == ["dads_car", "van"]
    known.merge_yaml([])
    assert [vehicle.from_yaml for vehicle in known.accepted()] == [False, False]
    assert known.rename("dads_car", "Car").trackers == (ID,)
    known.remove("dads_car", block=False)


def test_fields_of_yaml_are_changed_there_only(known):
    known.merge_yaml([car(name="Golf", trackers=(ID,), where="cars.yaml:7")])
    with pytest.raises(RequestError, match=r"the name of golf stands in cars\.yaml:7"):
        known.rename("golf", "Polo")
    with pytest.raises(RequestError, match=r"the trackers of golf stands in cars\.yaml:7"):
        known.replace("golf", ID, OTHER)
    with pytest.raises(RequestError, match=r"golf stands in cars\.yaml:7: take it out"):
        known.remove("golf", block=False)
    known.merge_yaml([car(trackers=(ID,))])
    assert known.rename("golf", "Polo").name == "Polo"


def test_an_id_that_yaml_gives_to_one_vehicle_leaves_the_other(known):
    known.accept(ID, name="Golf")
    known.merge_yaml([car("van", trackers=(ID,), where="cars.yaml:9")])
    assert known.match(ID).key == "van"
    assert known.vehicle("golf").trackers == ()
    assert known.notices == [f"tracker {ID} moved from golf to van, cars.yaml:9"]
    later = again(known)
    later.merge_yaml([car("van", trackers=(ID,))])
    assert later.notices == []


def test_an_id_that_yaml_leaves_out_of_its_list_is_a_stranger(known):
    known.accept(ID, name="Golf")
    known.merge_yaml([car(trackers=(OTHER,))])
    assert known.match(ID) is None
    assert known.match(OTHER).key == "golf"
    assert known.notices == [
        f"tracker {ID} no longer belongs to golf: cars.yaml:3 lists its trackers"
    ]


def test_yaml_brings_back_a_removed_vehicle_without_its_old_trackers(known):
    known.accept(ID, name="Golf")
    known.remove("golf", block=False)
    known.merge_yaml([car(owner="Ben")])
    golf = known.vehicle("golf")
    assert (golf.name, golf.owner, golf.trackers) == ("Golf", "Ben", ())
    assert "it is back" in known.notices[0]
    assert known.match(ID) is None


def test_yaml_unblocks_what_a_request_blocked(known):
    known.block(ID)
    known.merge_yaml([car(trackers=(ID,))])
    assert not known.is_blocked(ID)
    assert known.match(ID).key == "golf"
    assert known.notices == [f"tracker {ID} is no longer blocked: it stands in cars.yaml:3"]


def test_yaml_blocks_and_only_yaml_unblocks(known):
    known.accept(ID, name="Golf")
    known.merge_yaml([], blocked=[ID, OTHER])
    assert known.is_blocked(ID)
    assert known.match(ID) is None
    assert known.notices == [f"tracker {ID} of golf is blocked by the configuration"]
    with pytest.raises(RequestError, match=r"access\.block of the configuration"):
        known.accept(OTHER, name="Van")
    known.merge_yaml([])
    assert known.match(ID).key == "golf"
    assert not known.is_blocked(OTHER)
    assert content(known)["blocked"] == []


@pytest.mark.parametrize(
    ("vehicles", "blocked", "message"),
    [
        ([car(trackers=(ID,)), car("van", "cars.yaml:8", trackers=(ID,))], (),
         f"cars.yaml:8: tracker {ID} stands in golf already, cars.yaml:3"),
        ([car(trackers=(ID,))], (ID,), f"cars.yaml:3: tracker {ID} stands in access.block too"),
        ([car("bridge")], (), "cars.yaml:3: 'bridge' cannot be the key of a vehicle"),
        ([car("Golf")], (), "cars.yaml:3: 'Golf' cannot be the key of a vehicle"),
        ([car(), car(where="TK103B__VEHICLES__GOLF__NAME")], (),
         "TK103B__VEHICLES__GOLF__NAME: 'golf' cannot be the key of a vehicle"),
        ([car(trackers=("8 4",))], (), "cars.yaml:3: '8 4' is no tracker id"),
    ],
)  # fmt: skip
def test_a_contradiction_changes_nothing(known, vehicles, blocked, message):
    known.accept(ID, name="Polo")
    before = known._path.read_bytes()
    with pytest.raises(ConfigError) as caught:
        known.merge_yaml([car("bus", name="Bus"), *vehicles], blocked)
    assert str(caught.value) == message
    if message.startswith("cars"):
        assert (caught.value.file, caught.value.line) == ("cars.yaml", int(message[10]))
    assert known._path.read_bytes() == before
    assert known.match(ID).key == "polo"
    assert [vehicle.key for vehicle in known.accepted()] == ["polo"]


def test_the_reserved_words_are_those_of_the_configuration():
    options = pytest.importorskip("bridge.options")
    assert options.RESERVED_KEYS == acquaintance.RESERVED_KEYS


# The lock of the data folder.

HOLDER = """
import sys
from pathlib import Path
from bridge.registry import lock_folder
with lock_folder(Path(sys.argv[1])):
    print("locked", flush=True)
    sys.stdin.read()
"""


def test_a_folder_is_one_process_own_and_the_other_is_named(tmp_path):
    folder = tmp_path / "new" / "data"
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(folder)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert holder.stdout.readline() == b"locked\n"
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    with pytest.raises(StorageError, match=f"in use by process {holder.pid}$"):
        lock_folder(folder)
    holder.kill()
    holder.communicate()
    with lock_folder(folder) as locked:
        assert locked.path == folder
        assert (folder / "lock").read_text() == f"{os.getpid()}\n"
        with pytest.raises(StorageError, match=f"in use by process {os.getpid()}$"):
            lock_folder(folder)
    locked.close()
    lock_folder(folder).close()


def test_a_folder_that_cannot_be_is_named(tmp_path):
    (tmp_path / "data").write_text("")
    with pytest.raises(StorageError, match=r"cannot use the data folder .*: File exists"):
        lock_folder(tmp_path / "data")


def test_a_file_system_without_locks_is_said(tmp_path, monkeypatch):
    def flock(_descriptor, _operation):
        raise OSError(38, "Function not implemented")

    datafolder = sys.modules["bridge.datafolder"]
    monkeypatch.setattr(datafolder, "fcntl", SimpleNamespace(flock=flock, LOCK_EX=2, LOCK_NB=4))
    with pytest.raises(StorageError, match="cannot lock the data folder .*: Function not impl"):
        registry.lock_folder(tmp_path)
