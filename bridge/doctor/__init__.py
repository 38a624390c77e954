"""The doctor: looks at everything a bridge lives on, and says in words what it means.

Nothing is changed, and nothing is asked of a tracker. What is published to the broker lies below
the base topic, and is taken away again. Findings name no secret, no place, and no tracker's id.
"""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable, Iterable
from typing import TypeVar

from bridge import log
from bridge.config import Config
from bridge.doctor import broker, clock, network, storage
from bridge.doctor.finding import Finding, Result, bad, told
from bridge.doctor.patient import Patient, meet, running

__all__ = ["Finding", "examine", "told"]

Subject = TypeVar("Subject")
Examination = Callable[[Subject], Result | Awaitable[Result]]

PLACES: tuple[tuple[str, Examination[Patient]], ...] = (
    ("data folder", storage.folder),
    ("disk", storage.disk),
    ("registry", storage.registry),
    ("journal", storage.journal),
    ("waiting reports", storage.waiting),
    ("bridge", running),
    ("tracker port, TCP", network.tcp_port),
    ("tracker port, UDP", network.udp_port),
    ("own addresses", network.addresses),
    ("trackers' addresses", network.sources),
    ("clock", clock.time_of_day),
    ("clock is set by", clock.synchronised),
)
"""What is examined without the broker, in the order in which it is told."""

INSIDE: tuple[tuple[str, Examination[broker.Visit]], ...] = (
    ("broker, version", broker.spoken),
    ("broker, retained", broker.on_a_line(broker.retained)),
    ("broker, queue", broker.on_a_line(broker.queue)),
    ("broker, delay", broker.on_a_line(broker.delay)),
)
"""What is examined at a broker that lets us in."""

STATE = "broker, bridge/state"


async def examine(settings: Config) -> list[Finding]:
    """Return what was found, in the order in which it is to be read; takes some seconds."""
    for secret in settings.secrets:
        log.protect(secret.reveal())
    patient = await meet(settings)
    findings = await _all(PLACES, patient)
    visit = broker.Visit(patient)
    findings.append(await _carefully("broker", broker.reach, visit))
    if visit.version is None:
        return findings
    told_state = broker.told_online if patient.runs else broker.told_offline
    return findings + await _all((*INSIDE, (STATE, broker.on_a_line(told_state))), visit)


async def _all(
    table: Iterable[tuple[str, Examination[Subject]]], subject: Subject
) -> list[Finding]:
    return [await _carefully(check, examination, subject) for check, examination in table]


async def _carefully(check: str, examination: Examination[Subject], subject: Subject) -> Finding:
    """Examine one thing; where that fails, the failure is the finding."""
    try:
        found = examination(subject)
        result = await found if inspect.isawaitable(found) else found
    except Exception as error:  # noqa: BLE001 - whatever ails must not end the examination
        result = bad(f"could not be examined: {type(error).__name__}: {error}")
    return Finding(check, result.state, log.mask(result.words), log.mask(result.advice))
