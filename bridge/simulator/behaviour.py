"""What a tracker says and when: logs in, reports, beats, repeats alarms, stores, obeys. No I/O.

The same bargain as the bridge's own core: bytes and times in, bytes out. Whoever owns a connection
calls `connect`, `receive`, `wake` (at `due` or later) and `disconnect`, and writes what they
return.

    offline --connect--> login --last reply--> on line --all reports made, reply--> finished
       ^------------ disconnect; three replies missing ---'

The last heartbeat of a run waits for its reply: the bridge answers it when every frame before it is
safe, so a finished run is a delivered one.
"""

from __future__ import annotations

import random
from collections import deque
from datetime import datetime, timedelta
from enum import Enum

from bridge.model import Alarm
from bridge.simulator.language import INTERVAL, Language, Said
from bridge.simulator.options import Event, Happened, OnEvent, Options, Summary
from bridge.simulator.route import Route
from bridge.simulator.tracker import Happening, Obedience, SimulatedTracker, Wish

MISSING_REPLIES = 3
"""Unanswered logins or heartbeats after which a box dials anew (vendor's document)."""

FASTEST_STEP_S = 1.0
"""Time between the stamps of reports that are sent without pause."""

WINDOW = 50
"""Reports sent without pause before a heartbeat's reply must show that the bridge keeps up."""

STORED_FRAMES = 10_000
"""How many reports a box without connection keeps; the oldest go first."""

_SECOND = timedelta(seconds=1)
_AWAITED = 16
"""Replies remembered as awaited; a run that does not wait may never get them."""


class _Phase(Enum):
    OFFLINE = "offline"
    LOGIN = "login"
    ONLINE = "on line"
    FINISHED = "finished"


class Behaviour:
    """One box from its first login to its last report. Times are aware, UTC, never backwards."""

    def __init__(
        self, options: Options, language: Language, route: Route, now: datetime, on_event: OnEvent
    ) -> None:
        device_id = options.device_id or language.device_id
        language.check_id(device_id)
        for alarm, _ in options.alarms:
            language.alarm_keyword(alarm)
        step_s = options.interval_s or FASTEST_STEP_S
        behind_s = options.late * step_s + (0 if options.interval_s else options.count * step_s)
        begun = _whole(now - timedelta(seconds=behind_s))
        self.summary = Summary()
        self.hang_up = False
        """The connection is to be closed and dialled anew."""
        self.lost_patience = False
        """It is, because replies were missing."""
        self.tracker = SimulatedTracker(
            device_id=device_id,
            route=route,
            time=begun,
            driven_s=options.start_s,
            utc_offset_minutes=options.utc_offset_minutes,
            dialect=options.dialect,
            password=options.password,
            refuses=options.commands is Obedience.REFUSE,
            binary_every=options.binary_every,
            interval_s=options.interval_s,
        )
        self._options = options
        self._language = language
        self._tell = on_event
        self._random = random.Random(options.seed)  # noqa: S311 - jitter is no secret
        self._phase = _Phase.OFFLINE
        self._made = 0
        self._login: list[Said] = []
        self._login_tries = 0
        self._login_due = now
        self._heard = b""
        self._awaited: deque[bytes] = deque(maxlen=_AWAITED)
        self._missing = 0
        self._barrier = False
        self._lifting: set[bytes] = set()
        """The replies that lift the barrier."""
        self._ahead = 0
        """How many like them answer earlier heartbeats and come first."""
        self._confirmed = 0
        self._closing = False
        self._report_due = now
        self._heartbeat_due = now
        self._alarm_due: dict[Alarm, datetime] = {}
        self._stored: deque[bytes] = deque(maxlen=max(STORED_FRAMES, options.late))
        self._uploading = options.late > 0
        for step in range(options.late):
            self.tracker.advance(_whole(begun + timedelta(seconds=step * step_s)))
            self._stored.append(self._plain_report(storing=True))
        self._caught_up = begun + timedelta(seconds=options.late * step_s)
        self._woken = now

    @property
    def finished(self) -> bool:
        """Nothing more will be said."""
        return self._phase is _Phase.FINISHED

    @property
    def logged_in(self) -> bool:
        """The bridge has answered the login of this connection."""
        return self._phase in {_Phase.ONLINE, _Phase.FINISHED}

    @property
    def due(self) -> datetime:
        """When to call `wake` next: a GPS receiver's second at the latest."""
        due = self._woken + _SECOND
        if self._phase is _Phase.LOGIN:
            return min(due, self._login_due)
        if self._phase is _Phase.ONLINE and not self.tracker.asleep:
            if self._language.heartbeat:
                due = min(due, self._heartbeat_due)
            return due if self._held_up else min(due, self._report_due)
        return due

    def connect(self, now: datetime) -> list[bytes]:
        """Take a new connection; return what opens it."""
        self._advance(now)
        self.hang_up = self.lost_patience = False
        self.tracker.wish = Wish.STAY
        self.summary.connections += 1
        self._phase = _Phase.LOGIN
        self._login = list(self._language.login(self.tracker))
        self._login_tries = 0
        self._heard = b""
        self._awaited.clear()
        self._missing = 0
        self._barrier = self._closing = False
        self._lifting.clear()
        self._tell(Event(Happened.CONNECTED))
        return self._log_in(now)

    def disconnect(self, reason: str = "") -> None:
        """Take the loss of the connection."""
        if self._phase is not _Phase.FINISHED:
            self._phase = _Phase.OFFLINE
        self._tell(Event(Happened.DISCONNECTED, reason=reason))

    def unsent(self, frames: list[bytes]) -> None:
        """Take back what the connection did not take."""
        if self._options.keep:
            self._stored.extend(frames)

    def receive(self, data: bytes, now: datetime) -> list[bytes]:
        """Take bytes from the bridge; return what the box says to them."""
        phrases, self._heard = self._language.split(self._heard + data)
        return [frame for phrase in phrases for frame in self._hear(phrase, now)]

    def wake(self, now: datetime) -> list[bytes]:
        """Let time pass; return what the box has to say by now."""
        frames = self._advance(now)
        if self._phase is _Phase.OFFLINE:
            return self._keep([*frames, *self._due_report(now)])
        if self._phase is _Phase.LOGIN:
            self._keep(frames)
            return self._retry_login(now)
        if self._phase is _Phase.ONLINE:
            frames += self._due_alarms(now)
            frames += self._due_report(now)
            frames += self._due_heartbeat(now)
        return frames

    # Logging in

    def _log_in(self, now: datetime) -> list[bytes]:
        """Say the next step of the login; the last one answered, go on line."""
        frames = []
        while self._login:
            said = self._login[0]
            frames.append(said.frame)
            if said.awaits and self._options.wait:
                self._login_tries += 1
                self._login_due = now + timedelta(seconds=self._options.reply_timeout_s)
                return frames
            if said.awaits:
                self._awaited.append(said.awaits)
            self._login.pop(0)
        return frames + self._go_online(now)

    def _retry_login(self, now: datetime) -> list[bytes]:
        if now < self._login_due:
            return []
        if self._login_tries >= MISSING_REPLIES:
            self.hang_up = self.lost_patience = True
            return []
        return self._log_in(now)

    def _go_online(self, now: datetime) -> list[bytes]:
        self._phase = _Phase.ONLINE
        self._tell(Event(Happened.LOGGED_IN))
        self._heartbeat_due = now + timedelta(seconds=self._options.heartbeat_s)
        self._report_due = max(self._report_due, now)
        frames = list(self._stored)
        self._stored.clear()
        self.summary.late += len(frames)
        if self._uploading and self._language.upload_keywords is not None:
            begin, end = self._language.upload_keywords
            tracker, report = self.tracker, self._language.report
            frames = [report(tracker, begin), *frames, report(tracker, end)]
        self._uploading = False
        return frames

    # What is due

    def _advance(self, now: datetime) -> list[bytes]:
        """Move the car, return what it tells of the way."""
        self._woken = now
        stamp = _whole(now)
        if self.tracker.interval_s == 0 and self._options.count and not self.tracker.asleep:
            stamp = min(stamp, self._caught_up + self._made * FASTEST_STEP_S * _SECOND)
        frames = []
        for happening in self.tracker.advance(stamp):
            if happening is Happening.SPEEDING and Alarm.OVERSPEED in self._language.alarm_keywords:
                self._raise(Alarm.OVERSPEED, now)
            frames += self._language.happened(self.tracker, happening)
        return frames

    @property
    def _all_made(self) -> bool:
        return 0 < self._options.count <= self._made

    @property
    def _held_up(self) -> bool:
        """Whether reports wait for a reply, or for a command to go on."""
        return self._barrier or self._all_made or self.tracker.interval_s is None

    def _due_report(self, now: datetime) -> list[bytes]:
        """Make the next report if it is time; without a connection only a box that keeps does."""
        offline = self._phase is _Phase.OFFLINE
        if self._held_up or self.tracker.asleep or now < self._report_due:
            return []
        if offline and not (self._options.keep or self._options.card):
            return []
        self._made += 1
        tunnel = self._options.tunnel
        self.tracker.has_fix = tunnel is None or not tunnel.first <= self._made <= tunnel.last
        self._schedule_report(self._report_due, now)
        alarms = [alarm for alarm, number in self._options.alarms if number == self._made]
        for alarm in alarms:
            self._raise(alarm, now)
        if offline:
            return [self._plain_report(storing=True)]
        self.summary.reports += 1
        return self._due_alarms(now) or [self._plain_report()]

    def _schedule_report(self, last: datetime, now: datetime) -> None:
        interval = timedelta(seconds=self.tracker.interval_s or 0.0)
        late_by = timedelta(seconds=self._random.uniform(0.0, self._options.jitter_s))
        self._report_due = max(last + interval, now) + late_by

    def _raise(self, alarm: Alarm, now: datetime) -> None:
        """Let an alarm begin; it is told as soon as there is a connection."""
        if alarm not in self.tracker.alarms:
            self.tracker.alarms.add(alarm)
            self.summary.alarms += 1
            self._alarm_due[alarm] = now

    def _due_alarms(self, now: datetime) -> list[bytes]:
        frames = []
        for alarm, due in list(self._alarm_due.items()):
            if alarm not in self.tracker.alarms:
                del self._alarm_due[alarm]
            elif now >= due:
                keyword = self._language.alarm_keyword(alarm)
                frames.append(self._language.report(self.tracker, keyword))
                if self._language.repeats_alarms:
                    self._alarm_due[alarm] = now + timedelta(seconds=self._options.repeat_s)
                else:
                    del self._alarm_due[alarm]
        return frames

    def _due_heartbeat(self, now: datetime) -> list[bytes]:
        """Beat at the interval, after a window of fast reports, and to close the run."""
        options, heartbeat = self._options, self._language.heartbeat
        waits = heartbeat is not None and options.wait
        if self._all_made and not self._closing:
            self._closing = True
            if not waits:
                self._phase = _Phase.FINISHED
                return []
            self._barrier, self._heartbeat_due = True, now
        elif (
            self.tracker.interval_s == 0
            and waits
            and not self._barrier
            and self._made - self._confirmed >= WINDOW
        ):
            self._barrier, self._heartbeat_due = True, now
        if heartbeat is None or now < self._heartbeat_due or self.tracker.asleep:
            return []
        if waits and self._missing >= MISSING_REPLIES:
            self.hang_up = self.lost_patience = True
            return []
        said = heartbeat(self.tracker)
        if self._barrier:  # asked again, whatever reply comes will do: others were lost
            self._ahead = 0 if self._lifting else self._awaited.count(said.awaits)
            self._lifting.add(said.awaits)
        self._awaited.append(said.awaits)
        self._missing += 1
        wait_s = options.reply_timeout_s if self._barrier else options.heartbeat_s
        self._heartbeat_due = now + timedelta(seconds=wait_s)
        return [said.frame]

    # What the bridge says

    def _hear(self, phrase: bytes, now: datetime) -> list[bytes]:
        """Take one whole phrase: a reply that is waited for, a receipt, else a command."""
        if self._login and phrase == self._login[0].awaits:
            self._replied(phrase)
            self._login.pop(0)
            self._login_tries = 0
            return self._log_in(now)
        if phrase not in self._awaited:
            if self._language.confirms(self.tracker, phrase):
                self._replied(phrase)
                return []
            return self._obey(phrase, now)
        self._replied(phrase)
        self._awaited.remove(phrase)
        self._missing = 0
        if phrase in self._lifting:
            if self._ahead:
                self._ahead -= 1
            else:
                self._lift_barrier(now)
        return []

    def _lift_barrier(self, now: datetime) -> None:
        """Everything said before the last heartbeat is safe."""
        self._awaited.clear()
        self._barrier = False
        self._lifting.clear()
        self._confirmed = self._made
        self._heartbeat_due = now + timedelta(seconds=self._options.heartbeat_s)
        if self._closing:
            self._phase = _Phase.FINISHED

    def _replied(self, phrase: bytes) -> None:
        self.summary.replies += 1
        self._tell(Event(Happened.REPLY, phrase))

    def _obey(self, phrase: bytes, now: datetime) -> list[bytes]:
        tracker = self.tracker
        alarms, interval_s = len(tracker.alarms), tracker.interval_s
        deaf = self._options.commands is Obedience.DEAF
        answers = None if deaf else self._language.obey(tracker, phrase)
        if answers is None:
            self._tell(Event(Happened.IGNORED, phrase))
            return []
        if len(tracker.alarms) < alarms:
            self.summary.acknowledged += alarms - len(tracker.alarms)
            self._tell(Event(Happened.ACKNOWLEDGED, phrase))
        else:
            self.summary.commands += 1
            self._tell(Event(Happened.OBEYED, phrase))
        if tracker.interval_s != interval_s:
            self._schedule_report(now, now)
        if tracker.wish is Wish.RECONNECT:
            self.hang_up = True
        elif tracker.wish is Wish.LEAVE:
            self._phase = _Phase.FINISHED
        return [] if self._options.commands is Obedience.SILENT else answers

    # What is kept

    def _plain_report(self, *, storing: bool = False) -> bytes:
        self.tracker.storing = storing
        frame = self._language.report(self.tracker, INTERVAL)
        self.tracker.storing = False
        self.tracker.remember(frame)
        return frame

    def _keep(self, frames: list[bytes]) -> list[bytes]:
        """Store what cannot be said now, if this box stores; return nothing to say."""
        if self._options.keep:
            self._stored.extend(frames)
        return []


def _whole(moment: datetime) -> datetime:
    """Cut to the second, as GPS time is written."""
    return moment.replace(microsecond=0)
