"""A simulated box, what the bridge makes of the frames it says, and how the two talk."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from bridge.model import Report
from bridge.protocols.connection import Connection, Received
from bridge.protocols.registry import PROTOCOLS
from bridge.simulator import Event, Options
from bridge.simulator.behaviour import Behaviour
from bridge.simulator.language import Language
from bridge.simulator.languages import language
from bridge.simulator.route import PARKED_S, built_in_loop
from bridge.simulator.tracker import SimulatedTracker

START = datetime(2026, 3, 1, 10, 20, 30, tzinfo=UTC)
STANDING = 0.0  # seconds into the built-in loop
DRIVING = 100.0
PARKED = next(leg.start_s for leg in built_in_loop().legs if leg.parked) + PARKED_S / 2


def tracker(speaks: Language, driven_s: float = STANDING, **fields) -> SimulatedTracker:
    device_id = fields.pop("device_id", speaks.device_id)
    return SimulatedTracker(
        device_id=device_id, route=built_in_loop(), time=START, driven_s=driven_s, **fields
    )


def login(speaks: Language, box: SimulatedTracker) -> list[bytes]:
    return [said.frame for said in speaks.login(box)]


def decode(
    frames: list[bytes], *, at: datetime = START, after: list[bytes] | None = None
) -> list[Received]:
    """What the bridge makes of frames `after` others; each of them must be understood."""
    before = after or []
    connection = Connection(PROTOCOLS)
    connection.receive_data(b"".join([*before, *frames]))
    connection.receive_eof()
    events = list(connection.events(at))
    assert all(isinstance(event, Received) for event in events), events
    assert len(events) == len(before) + len(frames)
    # Of a frame nothing is left over but a second line end, or what is unknown in a record.
    for frame, event in zip([*before, *frames], events, strict=True):
        assert frame.startswith(event.frame)
        assert event.frame == frame.rstrip(b"\r") or frame.startswith(b"$")
    return events[len(before) :]


def reports(events: list[Received]) -> list[Report]:
    messages = [message for event in events for message in event.messages]
    return [message for message in messages if isinstance(message, Report)]


Answer = Callable[[bytes], bytes]


def silence(_frame: bytes) -> bytes:
    return b""


def polite() -> Answer:
    """The replies of a bridge to one box, receipts for SOS included."""
    connection = Connection(PROTOCOLS)

    def answer(frame: bytes) -> bytes:
        connection.receive_data(frame)
        (event,) = connection.events(START)
        assert isinstance(event, Received), event
        return event.reply + event.receipt

    return answer


def without(word: bytes) -> Answer:
    answer = polite()
    return lambda frame: b"" if word in frame else answer(frame)


class Talk:
    """A behaviour and a bridge that answers at once, on a clock of their own."""

    def __init__(self, answer: Answer | None = None, **options) -> None:
        chosen = Options(**options)
        self.now = START
        self.answer = answer or polite()
        self.events: list[Event] = []
        self.said: list[tuple[float, bytes]] = []
        self.box = Behaviour(
            chosen, language(chosen.protocol), built_in_loop(), START, self.events.append
        )

    def connect(self) -> None:
        self._hear(self.box.connect(self.now))

    def tell(self, data: bytes) -> None:
        self._hear(self.box.receive(data, self.now))

    def wait(self, seconds: float) -> None:
        """Let time pass for as long as there is something to say."""
        end = self.now + timedelta(seconds=seconds)
        while self.box.due <= end and not (self.box.finished or self.box.hang_up):
            assert self.box.due >= self.now or self.box.tracker.interval_s == 0
            self.now = max(self.now, self.box.due)
            self._hear(self.box.wake(self.now))
        self.now = end

    def _hear(self, frames: list[bytes]) -> None:
        while frames:
            frame = frames.pop(0)
            self.said.append(((self.now - START).total_seconds(), frame))
            answer = self.answer(frame)
            if answer:
                frames += self.box.receive(answer, self.now)

    @property
    def reports(self) -> list[Report]:
        return [report for _, report in self.timed_reports]

    @property
    def timed_reports(self) -> list[tuple[float, Report]]:
        connection = Connection(PROTOCOLS)
        found = []
        for at, frame in self.said:
            connection.receive_data(frame)
            for event in connection.events(START + timedelta(seconds=at)):
                assert isinstance(event, Received), event
                found += [(at, said) for said in event.messages if isinstance(said, Report)]
        return found

    def times(self, word: bytes) -> list[float]:
        return [at for at, frame in self.said if word in frame]
