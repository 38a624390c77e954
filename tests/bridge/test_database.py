"""The journal's file: opened, migrated, refused, and never larger than it should be."""

import shutil
import sqlite3
import stat
import struct
import tempfile
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bridge import schema
from bridge.database import SKIPPED, Batch, Database, Entry
from bridge.errors import StorageError
from bridge.frames import RING_BYTES, RING_FRAMES, FrameRecord

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
TRACKER = "864000000000017"


def entry(body: bytes) -> Entry:
    return Entry("car", NOON, body)


def frame(data: bytes, tracker: str = TRACKER) -> FrameRecord:
    return FrameRecord(
        tracker_id=tracker,
        received_at=NOON,
        direction="in",
        protocol="gps103",
        transport="tcp",
        data=data,
    )


def newest_within_limits(sizes: list[int]) -> list[int]:
    """The longest tail that a ring may hold: the law, written as slowly as it reads."""
    tail = sizes[-RING_FRAMES:]
    while sum(tail) > RING_BYTES:
        tail = tail[1:]
    return tail


@settings(max_examples=20, deadline=None)
@given(
    batches=st.lists(
        st.lists(st.one_of(st.integers(0, 400), st.integers(15_000, 70_000)), max_size=150),
        min_size=1,
        max_size=4,
    ),
    reopened=st.booleans(),
)
def test_the_ring_of_a_tracker_is_its_newest_frames_within_the_limits(batches, reopened):
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "journal.db"
        book = Database.open(path)
        for sizes in batches:
            frames = [frame(bytes(size)) for size in sizes]
            book.write(Batch(frames=[*frames, frame(b"other", tracker="other")]))
            if reopened:
                book.close()
                book = Database.open(path)
        wanted = newest_within_limits([size for sizes in batches for size in sizes])
        assert [len(one.data) for one in book.frames_of(TRACKER)] == wanted
        assert len(book.frames_of("other")) == len(batches)
        book.close()


def test_a_newer_schema_is_refused(tmp_path):
    Database.open(tmp_path / "journal.db").close()
    with sqlite3.connect(tmp_path / "journal.db") as hand:
        hand.execute("PRAGMA user_version = 7")
    hand.close()
    with pytest.raises(StorageError, match="newer version of this program \\(schema 7"):
        Database.open(tmp_path / "journal.db")


def test_an_older_schema_is_copied_then_migrated(tmp_path, monkeypatch):
    book = Database.open(tmp_path / "journal.db")
    book.write(Batch(entries=[entry(b"1"), entry(b"2")]))
    book.close()
    step = "ALTER TABLE entry ADD COLUMN size INTEGER; UPDATE entry SET size = length(body)"
    known = len(schema.MIGRATIONS)
    with pytest.MonkeyPatch.context() as broken:
        broken.setattr(schema, "MIGRATIONS", (*schema.MIGRATIONS, f"{step}; NONSENSE"))
        with pytest.raises(StorageError, match="NONSENSE"):
            Database.open(tmp_path / "journal.db")
    monkeypatch.setattr(schema, "MIGRATIONS", (*schema.MIGRATIONS, step))
    Database.open(tmp_path / "journal.db").close()
    with sqlite3.connect(tmp_path / "journal.db") as hand:
        assert hand.execute("PRAGMA user_version").fetchone() == (known + 1,)
        assert hand.execute("SELECT seq, size FROM entry").fetchall() == [(1, 1), (2, 1)]
    hand.close()
    copy = tmp_path / f"journal.db.v{known}"
    assert stat.S_IMODE(copy.stat().st_mode) == 0o600
    with sqlite3.connect(copy) as hand:
        assert hand.execute("PRAGMA user_version").fetchone() == (known,)
        assert hand.execute("SELECT seq, body FROM entry").fetchall() == [(1, b"1"), (2, b"2")]
    hand.close()
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "journal.db",
        f"journal.db.v{known}",
    ]


@pytest.mark.parametrize("content", [b"this is no database " * 400, b"SQLite format 3\0" * 64])
def test_a_damaged_file_is_named(tmp_path, content):
    path = tmp_path / "journal.db"
    path.write_bytes(content)
    with pytest.raises(StorageError, match=r"journal\.db is damaged"):
        Database.open(tmp_path / "journal.db")
    assert path.read_bytes() == content


def test_a_file_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "journal.db").mkdir()
    with pytest.raises(StorageError, match=r"cannot write .*journal\.db: Is a directory"):
        Database.open(tmp_path / "journal.db")
    with pytest.raises(StorageError, match="No such file or directory"):
        Database.open(tmp_path / "nowhere" / "journal.db")


def test_a_file_locked_by_another_program_is_named(tmp_path, monkeypatch):
    monkeypatch.setattr(schema, "_BUSY_S", 0.01)
    Database.open(tmp_path / "journal.db").close()
    other = sqlite3.connect(tmp_path / "journal.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(StorageError, match=r"cannot use .*journal\.db: database is locked"):
        Database.open(tmp_path / "journal.db")
    other.close()


def test_a_refused_batch_leaves_no_trace(tmp_path):
    book = Database.open(tmp_path / "journal.db")
    book.write(Batch(entries=[entry(b"1")], frames=[frame(b"a")]))
    nameless = frame(b"b", tracker=None)
    with pytest.raises(StorageError, match=r"cannot use .*journal\.db: NOT NULL"):
        book.write(
            Batch(
                entries=[entry(b"2")],
                frames=[frame(b"c"), nameless],
                checkpoints={"car": (2, b"")},
                cursors={"mqtt": 2},
                purged=("car", (TRACKER,)),
            )
        )
    assert (book.first_seq, book.last_seq) == (1, 1)
    assert [row[0] for row in book.entries(0, 9)] == [1]
    assert (book.checkpoints(), book.cursors()) == ({}, {})
    book.write(Batch(entries=[entry(b"2")], frames=[frame(b"d")]))
    assert [row[3] for row in book.entries(0, 9)] == [b"1", b"2"]
    assert [one.data for one in book.frames_of(TRACKER)] == [b"a", b"d"]
    book.write(Batch(frames=[frame(b"e")] * (RING_FRAMES - 2)))
    assert len(book.frames_of(TRACKER)) == RING_FRAMES
    book.close()


def test_reading_a_closed_journal_is_an_error_in_words(tmp_path):
    book = Database.open(tmp_path / "journal.db")
    book.close()
    with pytest.raises(StorageError, match=r"cannot use .*journal\.db: Cannot operate on a closed"):
        book.entries(0, 1)


def commits(log: bytes) -> list[int]:
    """Where transactions end in a write-ahead log."""
    size = struct.unpack(">I", log[8:12])[0] + 24
    frames = range(32, len(log) - size + 1, size)
    return [at + size for at in frames if any(log[at + 4 : at + 8])]


def test_no_seq_is_given_twice_though_the_end_of_the_log_was_never_written(tmp_path):
    told = Database.open(tmp_path / "journal.db")
    for number in range(5):
        told.write(Batch(entries=[entry(b"%d" % number)], cursors={"mqtt": number + 1}))
    log = (tmp_path / "journal.db-wal").read_bytes()
    left = []
    for number, end in enumerate(commits(log)):
        (tmp_path / str(number)).mkdir()
        path = tmp_path / str(number) / "journal.db"
        shutil.copy(tmp_path / "journal.db", path)
        path.with_name("journal.db-wal").write_bytes(log[:end])
        try:
            book = Database.open(path)
        except StorageError:  # before there was a table
            continue
        if book.epoch == told.epoch and (rows := book.entries(0, 9)):
            left.append(len(rows))
            book.close()  # with nothing written: what was skipped stays so
            book = Database.open(path)
            (row,) = book.write(Batch(entries=[entry(b"new")]))
            assert row[0] == len(rows) + SKIPPED + 1
            assert book.entries(book.cursors()["mqtt"], 9) == [row]
        book.close()
    assert left == [1, 2, 3, 4, 5]
    told.close()


def test_after_an_orderly_end_no_seq_is_skipped(tmp_path):
    for number in range(1, 4):
        book = Database.open(tmp_path / "journal.db")
        (row,) = book.write(Batch(entries=[entry(b"1")]))
        assert row[0] == number
        book.close()
