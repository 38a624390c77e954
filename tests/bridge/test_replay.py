"""The past once more: the same from the same, and what differs is counted."""

from __future__ import annotations

import json
import random
import sqlite3
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from bridge import history, live, record, redact
from bridge.config import Access, Config, Mqtt, Positions, Trips, VehicleConfig
from bridge.database import Database
from bridge.errors import BrokerError, RequestError, StorageError
from bridge.frames import FrameRecord
from bridge.history import Span
from bridge.journal import FILE_NAME, Journal
from bridge.model import Alarm, Status
from bridge.record import Record
from bridge.registry import Registry
from bridge.replay import Driven, Outcome, replay
from bridge.vehicle import Recounted, Silence, VehicleState
from tests.bridge import port
from tests.bridge.past import EVENING, GOLF, MORNING, at, diary, drive, fill, place
from tests.bridge.sayings import fix, report
from tests.conftest import free_port

DAY = Span(MORNING - timedelta(days=1), EVENING)
CORPUS = Path(__file__).parents[1] / "corpus"


@pytest.fixture
async def data(tmp_path: Path) -> Path:
    await fill(tmp_path / "data")
    return tmp_path / "data"


def states(folder: Path, config: Config | None = None) -> dict[str, VehicleState]:
    """What the vehicles of a data folder come back as, folded from the first row on."""
    registry = Registry.open(folder, "tk103b")
    journal = Journal.open(folder)
    rules = (config or Config()).rules
    found = {
        vehicle.key: live.restored(vehicle, rules(vehicle.key), journal, (0, b"")).state
        for vehicle in registry.accepted()
    }
    kept = {
        vehicle.key: live.restored(
            vehicle, rules(vehicle.key), journal, journal.checkpoints()[vehicle.key]
        ).state
        for vehicle in registry.accepted()
    }
    journal.close()
    assert found == kept
    return found


def rows(folder: Path) -> list[tuple[str, bytes]]:
    with history.opened(folder) as journal:
        return [(key, body) for _, key, _, body in journal.read(0, 10_000)]


# --- journals -------------------------------------------------------------------------------------


@pytest.mark.parametrize("as_file", [False, True])
async def test_a_journal_replayed_is_the_same_journal(
    data: Path, tmp_path: Path, *, as_file: bool
) -> None:
    into = tmp_path / "again"
    outcome = await replay(data / FILE_NAME if as_file else data, into, Config())
    assert rows(into) == rows(data)
    assert states(into) == states(data)
    acts = len(rows(data)) - outcome.reports
    assert acts == 2  # an acknowledgement and a recount
    assert outcome == Outcome(read=len(rows(data)), reports=len(rows(data)) - acts, acts=acts)
    with history.opened(data) as then, history.opened(into) as now:
        for key in ("golf", "van"):
            assert history.every_trip(now, key, DAY) == history.every_trip(then, key, DAY)
    known = history.known_vehicles(into)
    assert known["golf"].name == "My Golf"
    assert known["golf"].trackers == (GOLF,)


@pytest.mark.parametrize("seed", range(5))
async def test_whatever_was_said_a_replay_comes_to_the_same_state(
    tmp_path: Path, seed: int
) -> None:
    """Late, silent, doubtful and empty reports, acts between them, two vehicles in turn."""
    chance = random.Random(seed)  # noqa: S311 - examples
    minutes, metres = 0.0, 0.0
    async with diary(tmp_path / "data") as book:
        for _ in range(150):
            minutes += chance.choice([0.2, 0.5, 1, 5, 30, 90])
            metres += chance.choice([0, 0, 20, 300, 900, 40_000])
            said = at(minutes - chance.choice([0, 0, 0, 0, 3, 25, 500]))
            key = chance.choice(["golf", "golf", "van"])
            car = book.intake.vehicles[key]
            one = report(
                at(minutes),
                device_id=car.vehicle.trackers[0],
                device_time=said,
                fix=chance.choice([None, fix(said, **place(metres)), fix(said, valid=False)]),
                alarm=chance.choice([None, None, None, Alarm.SOS, Alarm.DOOR]),
                status=Status(ignition=chance.choice([None, True, True, False])),
                extra=chance.choice([{}, {}, {}, {"replayed": True}]),
            )
            accepted_late = chance.random() < 0.1
            heard_at = at(minutes) + timedelta(minutes=30 * accepted_late)
            car.transport = chance.choice(["tcp", "udp"])
            assert book.intake.fleet.append(car, one, now=heard_at, waited=accepted_late)
            if chance.random() < 0.1:
                await book.written()
                book.now = at(minutes)
                book.intake.fleet.act(car, Silence(at=at(minutes)))
            if chance.random() < 0.1:
                await book.written()
                book.now = at(minutes)
                await book.count_late_points()
    outcome = await replay(tmp_path / "data", tmp_path / "again", Config())
    assert not outcome.verdicts
    assert not outcome.trips
    assert states(tmp_path / "again") == states(tmp_path / "data")
    assert rows(tmp_path / "again") == rows(tmp_path / "data")
    assert any(b"recounted" in body for _, body in rows(tmp_path / "data"))


async def test_another_configuration_judges_otherwise_and_that_is_counted(
    data: Path, tmp_path: Path
) -> None:
    outcome = await replay(data, tmp_path / "again", Config(positions=Positions(parked_radius_m=0)))
    assert outcome.verdicts == {("parked", "ok"): 1}
    slow = Config(positions=Positions(max_speed_kmh=30))
    outcome = await replay(data, tmp_path / "slow", slow)
    assert outcome.verdicts[("ok", "out_of_range")] > 20


async def test_trips_that_add_up_otherwise_are_told(tmp_path: Path) -> None:
    async with diary(tmp_path / "data") as book:
        await book.say(*drive(0), *drive(60, 4000, steps=20))
    config = Config(trips=Trips(min_distance_m=5000))
    outcome = await replay(tmp_path / "data", tmp_path / "again", config)
    assert outcome.trips == {"golf": (Driven(2, 13.5), Driven(1, 10.0))}


async def test_an_act_points_at_the_row_that_it_meant(data: Path, tmp_path: Path) -> None:
    with closing(sqlite3.connect(data / FILE_NAME)) as connection:
        connection.execute("DELETE FROM entry WHERE seq IN (3, 4)")
        connection.execute("UPDATE entry SET body = x'00' WHERE seq = 5")
        connection.commit()
    outcome = await replay(data, tmp_path / "again", Config())
    assert outcome.unreadable == 1
    with history.opened(tmp_path / "again") as journal:
        found = journal.read(0, 1000)
    acts = [(seq, record.decode(body)) for seq, _, _, body in found]
    (act,) = (row for _, row in acts if isinstance(row, Recounted))
    counted = [seq for seq, row in acts if isinstance(row, Record) and row.judged.late]
    assert max(counted) <= act.seq < next(seq for seq, row in acts if row is act)
    assert states(tmp_path / "again")["golf"].counted_seq == act.seq


async def test_a_journal_alone_is_enough(data: Path, tmp_path: Path) -> None:
    alone = tmp_path / "copied.db"
    (data / FILE_NAME).rename(alone)
    await replay(alone, tmp_path / "again", Config())
    assert rows(tmp_path / "again")
    known = history.known_vehicles(tmp_path / "again")
    assert {key: car.trackers for key, car in known.items()} == {"golf": (), "van": ()}


async def test_the_configured_vehicles_win(data: Path, tmp_path: Path) -> None:
    own = VehicleConfig(
        key="golf", name="Our Golf", where="test:1", given=frozenset({"name"}), trackers=()
    )
    await replay(data, tmp_path / "again", replace(Config(), vehicles=(own,)))
    golf = history.known_vehicles(tmp_path / "again")["golf"]
    assert (golf.name, golf.trackers) == ("Our Golf", (GOLF,))


async def test_the_identity_is_another_one(data: Path, tmp_path: Path) -> None:
    await replay(data, tmp_path / "again", Config())
    one, other = (
        json.loads((at_ / "registry.json").read_text()) for at_ in (data, tmp_path / "again")
    )
    assert one["instance"] != other["instance"]
    with history.opened(data) as then, history.opened(tmp_path / "again") as now:
        assert then.epoch != now.epoch


# --- captures -------------------------------------------------------------------------------------


def captured(*frames: bytes, transport: str = "tcp", minutes: float = 0.0) -> str:
    """What `capture` prints of these, a second apart."""
    kept = [
        FrameRecord(
            tracker_id=port.GOLF,
            received_at=port.NOON + timedelta(minutes=minutes, seconds=second),
            direction="in",
            protocol="gps103",
            transport=transport,
            data=frame,
        )
        for second, frame in enumerate(frames)
    ]
    return "\n".join(redact.capture_lines(kept)) + "\n"


async def test_a_capture_is_decoded_judged_and_folded(tmp_path: Path) -> None:
    frames = [port.login(port.GOLF), *(port.position(port.GOLF, n) for n in range(5))]
    file = tmp_path / "capture.jsonl"
    file.write_text(captured(*frames, port.help_me(port.GOLF, 9)))
    outcome = await replay(file, tmp_path / "again", Config())
    assert outcome == Outcome(read=7, reports=6)
    ((_, state),) = states(tmp_path / "again").items()
    assert state.first_seen == port.NOON + timedelta(seconds=1)
    assert state.last_report == port.NOON + timedelta(seconds=6)
    assert list(state.episodes) == ["sos"]
    assert state.fix is not None
    (car,) = Registry.open(tmp_path / "again", "tk103b").accepted()
    assert car.trackers != (port.GOLF,)  # who it was is not in a capture
    with history.opened(tmp_path / "again") as journal:
        assert len(journal.frames_of(car.trackers[0])) >= 7


async def test_what_is_decoded_otherwise_or_not_at_all_is_counted(tmp_path: Path) -> None:
    text = captured(port.position(port.GOLF), port.position(port.GOLF, 1), b"GET / HTTP/1.1\r\n")
    first, *rest = text.splitlines()
    line = json.loads(first)
    line["events"][0]["messages"][0]["fix"]["speed_kmh"] = 1.0
    file = tmp_path / "capture.jsonl"
    file.write_text("\n".join((json.dumps(line), "", *rest)))
    outcome = await replay(file, tmp_path / "again", Config())
    assert outcome.read == 3
    assert outcome.decoded_anew == 1
    assert outcome.rejected == {"unrecognised": 1}


@pytest.mark.parametrize("protocol", ["gps103", "tk103", "xexun", "h02", "gt06"])
async def test_the_whole_corpus_plays(tmp_path: Path, protocol: str) -> None:
    file = tmp_path / "capture.jsonl"
    file.write_text(
        "".join(path.read_text() for path in sorted((CORPUS / protocol).glob("*.jsonl")))
    )
    outcome = await replay(file, tmp_path / "again", Config())
    assert outcome.decoded_anew == 0
    assert outcome.reports > 10


async def test_bare_frames_came_when_they_say_they_were_sent(tmp_path: Path) -> None:
    box = "087000000012"
    frames = (
        f"({box}BR00260501A4807.5000N01131.5000E046.0101530087.3101000000L0000A1B2)",
        f"({box}BR00260501A4807.6000N01131.5000E046.0101600087.3101000000L0000A1B2)",
    )
    file = tmp_path / "frames.txt"
    file.write_text("\n".join(frames))
    outcome = await replay(file, tmp_path / "again", Config())
    assert outcome == Outcome(read=2, reports=2)
    ((_, state),) = states(tmp_path / "again").items()
    assert state.last_report == datetime(2026, 5, 1, 10, 16, tzinfo=UTC)
    assert state.fix_at == datetime(2026, 5, 1, 10, 16, tzinfo=UTC)


async def test_late_points_of_a_capture_are_counted_in_the_end(tmp_path: Path) -> None:
    box = "087000000012"

    def line(clock: str, minutes: str, received_at: str) -> str:
        frame = f"({box}BR00260501A48{minutes}N01131.5000E060.0{clock}087.3101000000L0000A1B2)"
        return json.dumps(
            {
                "transport": "tcp",
                "encoding": "latin-1",
                "chunks": [frame],
                "received_at": received_at,
            }
        )

    live_drive = [
        line(f"1200{n:02d}", f"30.{n:04d}", f"2026-05-01T12:00:{n:02d}Z") for n in (0, 30)
    ]
    upload = [
        line(f"10{n:02d}00", f"{n:02d}.0000", f"2026-05-01T12:10:{n:02d}Z") for n in range(10)
    ]
    file = tmp_path / "capture.jsonl"
    file.write_text("\n".join([*live_drive, *upload]))
    await replay(file, tmp_path / "again", Config())
    ((key, state),) = states(tmp_path / "again").items()
    assert state.uncounted is None
    with history.opened(tmp_path / "again") as journal:
        trips = history.every_trip(journal, key, DAY).trips
    assert [trip.started_at for trip in trips] == [datetime(2026, 5, 1, 10, tzinfo=UTC)]


async def test_a_blocked_tracker_stays_one(tmp_path: Path) -> None:
    frame = port.position(port.GOLF).decode()
    (tmp_path / "frames.txt").write_text(frame)
    config = replace(Config(), access=Access(block=(port.GOLF,)))
    outcome = await replay(tmp_path / "frames.txt", tmp_path / "again", config)
    assert outcome.reports == 0
    assert history.known_vehicles(tmp_path / "again") == {}


# --- refusals -------------------------------------------------------------------------------------


async def test_what_cannot_be_played_is_said(data: Path, tmp_path: Path) -> None:
    into = tmp_path / "again"
    with pytest.raises(RequestError, match=r"cannot read .*gone"):
        await replay(tmp_path / "gone", into, Config())
    with pytest.raises(StorageError, match="is not empty"):
        await replay(data, data, Config())
    with pytest.raises(StorageError, match="nothing has been kept there"):
        await replay(tmp_path / "data" / "..", into, Config())
    for broken in ('{"transport": "tcp"}', '{"transport', '{"chunks": 5}', "[" * 9):
        file = tmp_path / "capture.jsonl"
        file.write_text(f"\n{broken if broken[0] == '{' else '{' * 9999}\n")
        with pytest.raises(RequestError, match=r"capture.jsonl:2: no line of a capture"):
            await replay(file, tmp_path / f"again{len(broken)}", Config())
    hexed = {"transport": "tcp", "encoding": "hex", "chunks": ["xy"]}
    file.write_text(json.dumps(hexed))
    with pytest.raises(RequestError, match=r"capture.jsonl:1: no line of a capture"):
        await replay(file, tmp_path / "hex", Config())


@pytest.mark.parametrize(
    ("base_topic", "complaint"),
    [
        ("tk103b", "where the bridge publishes"),
        ("tk103b/again", "where the bridge publishes"),
        ("a b", "must be words"),
        ("#", "must be words"),
    ],
)
async def test_it_is_published_beside_the_real_one_or_not_at_all(
    data: Path, tmp_path: Path, base_topic: str, complaint: str
) -> None:
    with pytest.raises(RequestError, match=complaint):
        await replay(data, tmp_path / "again", Config(), base_topic=base_topic)
    assert not (tmp_path / "again").exists()


async def test_nobody_to_publish_to_is_said(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bridge.replay.stage.REACH_S", 0.2)
    config = Config(mqtt=Mqtt(host="127.0.0.1", port=free_port()))
    with pytest.raises(BrokerError, match="no broker answers"):
        await replay(data, tmp_path / "again", config, base_topic="other")


async def test_a_full_disk_ends_it(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise StorageError("no space left")

    monkeypatch.setattr(Database, "write", full)
    with pytest.raises(StorageError, match="no space left"):
        await replay(data, tmp_path / "again", Config())
