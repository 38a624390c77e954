"""The journal's file: an old one is migrated, a damaged one set aside, a live one copied."""

import asyncio
import re
import shutil
import sqlite3
import stat
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace

import pytest

from bridge import database, record, schema
from bridge.database import SKIPPED, Batch, DamagedFileError, Database, Entry
from bridge.errors import StorageError
from bridge.journal import Journal

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
OLD = Path(__file__).with_name("journal_v1.sql")
PAGE = 4096


def entry(number: int) -> Entry:
    return Entry("car", NOON + timedelta(seconds=number), b"%d" % number * 50)


def written(folder: Path, rows: int = 2000) -> Path:
    """Make a journal that was closed in an orderly way."""
    path = folder / "journal.db"
    book = Database.open(path)
    book.write(Batch(entries=[entry(n) for n in range(rows)], cursors={"mqtt": 1}))
    book.close()
    return path


def not_closed(path: Path) -> None:
    """Leave a journal as a power cut does."""
    with closing(sqlite3.connect(path)) as hand, hand:
        hand.execute("UPDATE meta SET value = 0 WHERE name = 'clean'")


def garble(path: Path, page: int) -> None:
    with path.open("r+b") as file:
        file.seek((page - 1) * PAGE)
        file.write(b"\xa5" * PAGE)


def root(path: Path, table: str) -> int:
    """Return the page where a table or an index begins."""
    with closing(sqlite3.connect(path)) as hand:
        found = hand.execute("SELECT rootpage FROM sqlite_master WHERE name = ?", (table,))
        return int(found.fetchone()[0])


# --- an old one -----------------------------------------------------------------------------------


@pytest.fixture
def old(tmp_path):
    with closing(sqlite3.connect(tmp_path / "journal.db")) as hand:
        hand.executescript(OLD.read_text(encoding="utf-8"))
    return tmp_path


def own_times(book: Journal, key: str) -> dict[int, str]:
    rows = book.track(key, NOON - timedelta(days=9), NOON + timedelta(days=9), None, 99)
    return {seq: f"{schema.moment(at):%H:%M:%S.%f}"[:-3] for seq, at, _, _ in rows}


def test_a_journal_of_the_first_schema_is_copied_and_dates_its_rows(old):
    with closing(sqlite3.connect(old / "journal.db")) as hand:
        was = hand.execute("SELECT seq, vehicle, received_at, body FROM entry").fetchall()
        states = hand.execute("SELECT vehicle, seq, body FROM vehicle_state").fetchall()
    book = Journal.open(old, moment_of=record.moment_of)
    assert (book.epoch, book.first_seq) == ("e7a1e7de4c6efd23", 1)
    assert book.last_seq == 13 + SKIPPED  # nobody knows how it ended
    rows = [(seq, key, schema.milliseconds(at), body) for seq, key, at, body in book.read(0, 99)]
    assert rows == was
    assert list(own_times(book, "golf").items()) == [
        (1, "11:55:00.000"),
        (2, "11:55:30.000"),
        (7, "11:55:40.000"),  # of a tunnel, sent at 11:57
        (8, "11:55:50.000"),
        (3, "11:56:00.000"),
        (5, "11:56:30.000"),
        (10, "11:57:30.000"),
        (12, "11:58:00.000"),
    ]
    assert list(own_times(book, "van").items()) == [
        (4, "11:56:10.000"),
        (6, "11:56:40.000"),
        (9, "11:57:10.000"),
        (11, "11:57:40.250"),  # said no time
        (13, "12:03:00.000"),  # cannot be read
    ]
    sizes = {key: sum(len(row[3]) + 60 for row in was if row[1] == key) for key in ("golf", "van")}
    assert {key: book.counts(key)[:2] for key in book.vehicles()} == {
        "golf": (8, sizes["golf"]),
        "van": (5, sizes["van"]),
    }
    assert book.cursor("mqtt") == 7
    assert book.checkpoints() == {key: (seq, body) for key, seq, body in states}
    assert [one.data[:8] for one in book.frames_of("864000000001234")][:2] == [b"##,imei:", b"LOAD"]
    told = []
    book.append(entry(1), (), told.append)
    book.close()
    assert told == [14 + SKIPPED]

    copy = old / "journal.db.v1"
    assert stat.S_IMODE(copy.stat().st_mode) == 0o600
    with closing(sqlite3.connect(copy)) as hand:
        assert hand.execute("PRAGMA user_version").fetchone() == (1,)
        assert hand.execute("SELECT * FROM entry").fetchall() == was
    assert sorted(path.name for path in old.iterdir()) == ["journal.db", "journal.db.v1"]


def test_without_word_of_their_own_time_old_rows_count_for_when_they_came(old):
    book = Journal.open(old)
    assert list(own_times(book, "golf")) == [1, 2, 3, 5, 7, 8, 10, 12]
    book.close()


def test_a_migrated_journal_gives_space_back(old):
    Journal.open(old).close()
    with closing(sqlite3.connect(old / "journal.db")) as hand:
        assert hand.execute("PRAGMA auto_vacuum").fetchone() == (2,)


# --- a damaged one --------------------------------------------------------------------------------


def no_database(path: Path) -> None:
    path.write_bytes(b"this is no database " * 400)


def garbled_schema(path: Path) -> None:
    content = path.read_bytes()
    path.write_bytes(content.replace(b"CREATE TABLE entry", b"CREATE TABLE e\0try"))


def cut_off(path: Path) -> None:
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])


def garbled_page(path: Path) -> None:
    not_closed(path)
    garble(path, root(path, "entry_vehicle"))


def garbled_leaf(path: Path) -> None:
    not_closed(path)
    garble(path, path.stat().st_size // PAGE - 1)


def lost_version(path: Path) -> None:
    with closing(sqlite3.connect(path)) as hand:
        hand.execute("PRAGMA user_version = 0")


def lost_table(path: Path) -> None:
    with closing(sqlite3.connect(path)) as hand:
        hand.execute("DROP TABLE frame")


def lost_meta(path: Path) -> None:
    with closing(sqlite3.connect(path)) as hand, hand:
        hand.execute("DELETE FROM meta WHERE name = 'epoch'")


HARM = [
    no_database,
    garbled_schema,
    cut_off,
    garbled_page,
    garbled_leaf,
    lost_version,
    lost_table,
    lost_meta,
]


@pytest.mark.parametrize("harm", HARM)
def test_a_damaged_journal_is_set_aside_and_a_new_one_begun(tmp_path, harm):
    path = written(tmp_path)
    with closing(sqlite3.connect(path)) as hand:
        epoch = hand.execute("SELECT value FROM meta WHERE name = 'epoch'").fetchone()[0]
    harm(path)
    content = path.read_bytes()

    with pytest.raises(DamagedFileError, match=r"journal\.db is damaged: "):
        Journal.open(tmp_path)
    assert path.read_bytes() == content

    book = Journal.open(tmp_path, rescue=True)
    assert re.fullmatch(r"journal\.db\.damaged-\d{8}-\d{6}", book.rescued.name)
    assert book.rescued.parent == tmp_path
    assert book.rescued.read_bytes() == content
    assert (book.first_seq, book.last_seq) == (1, 0)
    assert book.epoch != epoch
    told = []
    book.append(entry(1), (), told.append)
    book.close()
    assert told == [1]
    again = Journal.open(tmp_path, rescue=True)
    assert (again.rescued, again.epoch, again.last_seq) == (None, book.epoch, 1)
    again.close()


def test_side_files_go_with_the_damaged_one_and_nothing_is_written_over(tmp_path):
    path = tmp_path / "journal.db"
    places = []
    for number in range(2):
        for suffix in ("", "-wal", "-shm"):
            path.with_name(path.name + suffix).write_bytes(b"%d%s" % (number, suffix.encode()))
        places.append(schema.set_aside(path, NOON))
    assert [place.name[-16:] for place in places] == ["-20260301-120000", "-20260301-120001"]
    for number, place in enumerate(places):
        for suffix in ("", "-wal", "-shm"):
            content = place.with_name(place.name + suffix).read_bytes()
            assert content == b"%d%s" % (number, suffix.encode())
    assert len(list(tmp_path.iterdir())) == 6


def test_garbage_in_the_side_files_harms_nothing(tmp_path):
    path = written(tmp_path)
    for suffix in ("-wal", "-shm"):
        path.with_name(path.name + suffix).write_bytes(b"\xa5" * 50_000)
    book = Journal.open(tmp_path, rescue=True)
    assert (book.rescued, book.last_seq, len(book.read(0, 9999))) == (None, 2000, 2000)
    book.close()


def test_what_is_no_damage_is_not_set_aside(tmp_path, monkeypatch):
    monkeypatch.setattr(schema, "_BUSY_S", 0.01)
    path = written(tmp_path)
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(StorageError, match="database is locked"):
            Journal.open(tmp_path, rescue=True)
        other.execute("ROLLBACK")
        other.execute("PRAGMA user_version = 99")
    with pytest.raises(StorageError, match="newer version"):
        Journal.open(tmp_path, rescue=True)
    assert [one.name for one in tmp_path.iterdir()] == ["journal.db"]


def test_where_nothing_can_be_moved_the_reason_is_said(tmp_path, monkeypatch):
    (tmp_path / "journal.db").write_bytes(b"this is no database " * 400)

    def refused(*_):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "replace", refused)
    with pytest.raises(StorageError, match=r"cannot write .*journal\.db: Permission denied"):
        Journal.open(tmp_path, rescue=True)


def test_only_a_journal_without_orderly_end_is_examined_as_a_whole(tmp_path):
    path = written(tmp_path)
    garble(path, root(path, "frame_tracker"))
    book = Database.open(path)
    assert len(book.entries(0, 9999)) == 2000
    book.write(Batch(entries=[entry(1)]))  # a write takes the good word back, and a crash follows
    book._writer.close()
    book._reader.close()
    with pytest.raises(DamagedFileError):
        Database.open(path)


def test_damage_that_a_reader_meets_is_found_by_the_next_start(tmp_path):
    path = written(tmp_path)
    garble(path, root(path, "entry_vehicle"))
    book = Database.open(path)
    with pytest.raises(DamagedFileError, match=r"is damaged: .*sets it aside when it starts again"):
        book.entries_of("car", 0, 10)
    book.close()
    with pytest.raises(DamagedFileError):
        Database.open(path)


async def test_damage_that_a_write_meets_is_said_and_found_by_the_next_start(tmp_path):
    path = written(tmp_path)
    garble(path, root(path, "entry_vehicle"))
    book = Journal.open(tmp_path, retry_s=0.01)
    said = asyncio.get_running_loop().create_future()
    book.on_fault = said.set_result
    book.start(asyncio.get_running_loop())
    book.append(entry(1), (), lambda _: None)
    words = await asyncio.wait_for(said, 10)
    assert "is damaged" in words
    assert "sets it aside when it starts again" in words
    assert book.failed == words
    with pytest.raises(StorageError, match=r"is damaged.*1 reports could not be kept"):
        await asyncio.to_thread(book.close)
    again = Journal.open(tmp_path, rescue=True)
    assert again.rescued is not None
    again.close()


# --- a copy ---------------------------------------------------------------------------------------


def test_a_copy_of_a_journal_that_is_written_to_is_of_one_moment(tmp_path, monkeypatch):
    path, target = written(tmp_path, rows=500), tmp_path / "backup.db"
    book = Database.open(path)

    def written_to(*_) -> None:
        """Between any two steps; a copy that began anew for it would never end."""
        assert book.last_seq < 5000
        book.write(Batch(entries=[entry(n) for n in range(7)]))

    class Watched(sqlite3.Connection):
        def backup(self, *arguments, **options) -> None:
            super().backup(*arguments, progress=written_to, **options)

    with monkeypatch.context() as watched:
        watched.setattr(schema, "_COPY_PAGES", 1)
        watched.setattr(schema, "connect", lambda one, **_: sqlite3.connect(one, factory=Watched))
        database.copy(path, target)
    assert book.last_seq > 500 + 10 * 7
    book.close()
    assert stat.S_IMODE(target.stat().st_mode) == 0o600
    with closing(sqlite3.connect(target)) as hand:
        assert hand.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        assert hand.execute("SELECT count(*), max(seq) FROM entry").fetchone() == (500, 500)
    assert sorted(one.name for one in tmp_path.iterdir()) == ["backup.db", "journal.db"]


def test_a_copy_of_nothing_is_refused_and_leaves_nothing(tmp_path):
    with pytest.raises(StorageError, match="unable to open"):
        database.copy(tmp_path / "journal.db", tmp_path / "backup.db")
    (tmp_path / "journal.db").write_bytes(b"this is no database " * 400)
    with pytest.raises(DamagedFileError):
        database.copy(tmp_path / "journal.db", tmp_path / "backup.db")
    assert [one.name for one in tmp_path.iterdir()] == ["journal.db"]


def test_a_new_epoch_goes_on_with_seq(tmp_path):
    path = written(tmp_path, rows=3)
    before = Database.open(path)
    before.close()
    epoch = database.renew_epoch(path)
    after = Database.open(path)
    assert (after.epoch, after.last_seq, after.cursors()) == (epoch, 3, {"mqtt": 1})
    assert len(epoch) == 16
    assert epoch != before.epoch
    after.close()
    with pytest.raises(StorageError, match="unable to open"):
        database.renew_epoch(tmp_path / "nothing.db")
    lost_meta(path)
    with pytest.raises(DamagedFileError, match="does not say which journal"):
        database.renew_epoch(path)
    assert [one.name for one in tmp_path.iterdir()] == ["journal.db"]


@pytest.mark.parametrize(
    ("free", "words"), [(4096, "the disk is full"), (10**9, "database or disk")]
)
def test_a_full_disk_is_called_by_its_name(tmp_path, monkeypatch, free, words):
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=free))
    with closing(sqlite3.connect(tmp_path / "small.db")) as small:
        small.execute("PRAGMA max_page_count = 1")
        with pytest.raises(sqlite3.OperationalError) as raised:
            small.execute("CREATE TABLE t (a)")
    said = schema.in_plain_words(tmp_path / "small.db", raised.value)
    assert words in str(said)
