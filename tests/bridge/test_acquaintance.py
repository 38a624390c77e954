"""The configuration and the registry together: its fields win, and no car is lost."""

import json
from datetime import UTC, datetime

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge import options
from bridge.acquaintance import RESERVED_KEYS, Vehicle, free_key, holders, is_key
from bridge.config import VehicleConfig
from bridge.errors import ConfigError, RequestError
from bridge.registry import Registry

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
    assert options.RESERVED_KEYS == RESERVED_KEYS


def test_a_listed_short_form_wins_over_one_by_itself(known):
    known.merge_yaml([car(trackers=(ID,)), car("van", trackers=(SHORT,))])
    assert known.match(SHORT).key == "van"
    assert known.match(f"0{SHORT}").key == "golf"


def test_a_vehicle_knows_every_id_it_may_report_with(known):
    known.merge_yaml([car(trackers=(SHORT, ID, "AB12"))])
    golf = known.vehicle("golf")
    assert golf.ids == (SHORT, ID, f"0{SHORT}", "AB12")
    assert all(known.match(one) == golf for one in golf.ids)


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
