"""Who was accepted stays accepted: through restarts, damage and requests."""

import json
import re
import stat
from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bridge.config import VehicleConfig
from bridge.errors import RequestError, StorageError
from bridge.registry import Registry

ID = "864000000000017"
OTHER = "864000000000025"
THIRD = "864000000000033"
SHORT = "00000000017"


def car(key: str = "golf", **fields) -> VehicleConfig:
    """A vehicle as the configuration gives it."""
    return VehicleConfig(key=key, where="cars.yaml:3", given=frozenset(fields), **fields)


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
        "options": {},
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
            "private": False,
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
    known.set_private("golf", private=True)
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
    imei, short = "864312345600017", "12345600017"
    golf = known.accept(imei, name="Golf")
    for form in (imei, short, f"0{short}"):
        assert known.match(form) == golf
    for form in (imei[1:], short[1:], imei[-12:], imei[-13:], f"1{short}", f"00{short}", ""):
        assert known.match(form) is None
    known.accept("354312345600017", name="Twin")
    assert known.match(short) is None
    assert known.match(f"0{short}") is None
    assert known.match(imei) == golf
    known.remove("twin", block=False)
    assert known.match(short) == golf


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
    assert known.match(ID) is None
    assert known.match(SHORT) is None
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
    assert known.replace("golf", THIRD, "AB12").trackers == (OTHER, "AB12")
    assert known.replace("golf", "AB12", THIRD).trackers == (OTHER, THIRD)
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
