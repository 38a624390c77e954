"""Whatever is asked over MQTT is answered: nothing in a request's body ends the bridge."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bridge.contract import Owner
from bridge.registry import Vehicle
from bridge.requests import Requests
from tests.bridge.port import GOLF, serving

FIELDS = (
    "id", "key", "name", "owner", "old", "time", "from", "to", "limit", "after", "all", "waiting",
    "block", "purge", "clear", "confirmed", "alarm", "nonce", "transaction",
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
bodies = st.one_of(
    st.dictionaries(st.sampled_from(FIELDS), values, max_size=6).map(json.dumps).map(str.encode),
    values.map(json.dumps).map(str.encode),
    st.binary(max_size=60),
    st.just(b"[" * 10_000),
)


class Silent:
    """Announces nothing."""

    def republish(self) -> None: ...

    def info_changed(self) -> None: ...

    def vehicles_changed(self) -> None: ...

    def owner_changed(self, owner: Owner, *, confirmed: bool) -> None: ...

    def forget_vehicle(self, vehicle: Vehicle, *, clear: bool) -> None: ...

    def hide(self, key: str) -> None: ...

    def info(self) -> dict[str, Any]:
        return {}

    health = identity = info


async def test_every_request_is_answered(tmp_path: Path) -> None:
    async with serving(tmp_path) as port:
        requests = Requests(port.intake, Silent())
        verbs = [*requests._verbs, "no/such verb", ""]
        asked: list[tuple[str, bytes]] = []

        @settings(max_examples=300, suppress_health_check=list(HealthCheck))
        @given(st.lists(st.tuples(st.sampled_from(verbs), bodies), min_size=1, max_size=5))
        def collect(more: list[tuple[str, bytes]]) -> None:
            asked.extend(more)

        await asyncio.to_thread(collect)
        outcomes = set()
        for verb, body in asked:
            answer = await requests.answer(verb, body)
            json.dumps(answer)
            assert answer["status"] == "ok" or answer["error"]
            outcomes.add((answer["status"], verb in requests._verbs))
        assert outcomes == {("ok", True), ("error", True), ("error", False)}
