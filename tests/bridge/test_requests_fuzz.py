"""Whatever is asked over MQTT is answered: nothing in a request's body ends the bridge."""

from __future__ import annotations

import asyncio
import itertools
import json
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bridge.app import check_restart
from bridge.backup import Shelf
from bridge.backup.keeping import PAUSE_S
from bridge.config import SECTIONS
from bridge.contract import Owner
from bridge.registry import Vehicle
from bridge.reload import BY_REQUEST, Reload, Source
from bridge.requests import House, Requests
from tests.bridge.port import GOLF, NOON, Port, serving

FIELDS = (
    "id", "key", "name", "owner", "old", "time", "from", "to", "limit", "after", "all", "waiting",
    "block", "purge", "clear", "confirmed", "alarm", "nonce", "transaction", "options", "level",
)  # fmt: skip
TELLING = (
    "golf", GOLF, "864000000009999", "", " ", "../../etc", "a/b+#", "\x00", "x" * 5000,
    "2026-05-01T00:00:00Z", "2026-05-01", "yesterday", "9999-12-31T23:59:59+14:00", "sos", "1:2",
    "discovery", "component",
)  # fmt: skip
values = st.recursive(
    st.one_of(
        st.none(),
        st.booleans(),
        st.integers(-(2**70), 2**70),
        st.floats(),
        st.text(max_size=30),
        st.sampled_from(TELLING),
    ),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=5), inner, max_size=3)
    ),
    max_leaves=5,
)
choices = st.dictionaries(
    st.sampled_from([*SECTIONS, "vehicles", "nonsense", ""]),
    st.one_of(
        values,
        st.dictionaries(
            st.one_of(
                st.sampled_from(sorted({one for block in BY_REQUEST.values() for one in block})),
                st.text(max_size=5),
            ),
            st.one_of(values, st.integers(0, 1000)),
            max_size=3,
        ),
    ),
    max_size=2,
)
FILES = (
    "", "# all gone", "{}", "trips: {gap_s: 1800}", "trips: {gap_s: soon}", "- a", "a: [", "\t",
    r'mqtt: {host: "\UFFFFFFFF"}', "a: " + "[" * 600, "listen: {port: 1}", "&a [*a]",
    "mqtt: {password: !secret x}", "x: !!python/object:os.system y", "%YAML 9.9\n--- {}",
)  # fmt: skip
"""What may stand in the configuration file when a request has it read."""
OF_A_PROCESS = ("options", "backup", "restart")
bodies = st.one_of(
    choices.map(lambda asked: json.dumps({"options": asked}).encode()),
    st.dictionaries(st.sampled_from(FIELDS), values, max_size=6).map(json.dumps).map(str.encode),
    values.map(json.dumps).map(str.encode),
    st.binary(max_size=60),
    st.just(b"[" * 10_000),
)


class Silent:
    """Announces nothing."""

    sees_retained = True

    def republish(self) -> None: ...

    def info_changed(self) -> None: ...

    def vehicles_changed(self) -> None: ...

    def owner_changed(self, owner: Owner, *, confirmed: bool) -> None: ...

    def forget_vehicle(self, vehicle: Vehicle, *, clear: bool) -> None: ...

    def hide(self, key: str) -> None: ...

    def info(self) -> dict[str, Any]:
        return {}

    health = identity = info


class Process:
    """A bridge as a process, with a file that may say anything, and clocks that leave no pause."""

    def __init__(self, port: Port, folder: Path) -> None:
        self.file = folder / "car.yaml"
        self.file.write_text("trips: {gap_s: 1800}")
        self.restarts = 0
        source = Source(self.file, {})
        reload = Reload(source.read(), source, port.intake.registry)
        reload.followers.append(port.intake.follow)
        days = (NOON + timedelta(days=day) for day in itertools.count())
        minutes = itertools.count(step=PAUSE_S)
        shelf = Shelf(folder, source, lambda: next(days), lambda: next(minutes))
        self.house = House(reload, shelf.add, partial(check_restart, reload), self.restart)

    def restart(self) -> None:
        self.restarts += 1


async def test_every_request_is_answered(tmp_path: Path) -> None:
    async with serving(tmp_path) as port:
        process = Process(port, tmp_path)
        requests = Requests(port.intake, Silent(), process.house)
        verbs = [*requests._verbs, "no/such verb", ""]
        asked: list[tuple[str, bytes, str]] = []

        @settings(max_examples=300, suppress_health_check=list(HealthCheck))
        @given(
            st.lists(
                st.tuples(st.sampled_from(verbs), bodies, st.sampled_from(FILES)),
                min_size=1,
                max_size=5,
            )
        )
        def collect(more: list[tuple[str, bytes, str]]) -> None:
            asked.extend(more)

        await asyncio.to_thread(collect)
        plain = json.dumps({"options": {"alarms": {"auto_receipt": False}}}).encode()
        asked += [(verb, plain, text) for verb in OF_A_PROCESS for text in FILES]
        outcomes, ends = set(), set()
        for verb, body, text in asked:
            process.file.write_text(text)
            answer = await requests.answer(verb, body)
            json.dumps(answer)
            assert answer["status"] == "ok" or answer["error"]
            outcomes.add((answer["status"], verb in requests._verbs))
            ends.add((verb, answer["status"]))
        assert outcomes == {("ok", True), ("error", True), ("error", False)}
        assert ends >= {(verb, end) for verb in OF_A_PROCESS for end in ("ok", "error")}
        assert process.restarts


async def test_what_is_large_and_only_read_is_not_kept_in_memory(tmp_path: Path) -> None:
    async with serving(tmp_path) as port:
        requests = Requests(port.intake, Silent())
        asked = json.dumps({"key": "golf", "id": GOLF, "transaction": "t1"}).encode()
        for verb in ("capture", "get_gaps", "get_track", "get_trips"):
            answer = await requests.answer(verb, asked)
            assert (answer["status"], answer["transaction"]) == ("ok", "t1")
        assert not requests._answered
