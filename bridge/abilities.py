"""What a vehicle's trackers can be told, and may be: out of their words and its configuration."""

from __future__ import annotations

from collections.abc import Iterable

from bridge.command import Command, Raw
from bridge.live import Live
from bridge.model import SMS
from bridge.protocols.registry import VOCABULARIES

ENGINE_WORDS = frozenset({"engine_stop", "output"})
"""An output may drive the relay of the fuel pump: the tracker's own facts do not say."""
RAW_WORDS = frozenset({"raw", "set_server"})
"""What can make a tracker unreachable: for those who know what they do."""

_FAMILIES = {
    "": "coban",
    "gps103": "coban",
    "tk103": "kxtech",
    "xexun": "xexun",
    "h02": "h02",
}
"""Which words the trackers of a protocol obey as texts; those that are not here: nobody knows."""


def commands(live: Live) -> tuple[str, ...]:
    """Return the names of what a vehicle's tracker obeys and its owner allows, sorted."""
    permits = live.rules.commands
    words: set[str] = set()
    vocabulary = VOCABULARIES.get(live.state.protocol)
    if vocabulary is not None:
        words.update(vocabulary.words(dialect(live, live.vehicle.trackers)))
    spoken = family(live)
    if phone(live) is not None and spoken:
        # What is dangerous needs a live connection.
        words.update({*VOCABULARIES[SMS].words(spoken)} - ENGINE_WORDS - RAW_WORDS)
    words.difference_update(
        () if permits.engine_stop else ENGINE_WORDS, () if permits.raw else RAW_WORDS
    )
    return tuple(sorted(words))


def dialect(live: Live, tracker_ids: Iterable[str]) -> str:
    """Return the dialect trackers obey: the configured one, or what they have shown, or ""."""
    shown = (live.dialects[one] for one in tracker_ids if one in live.dialects)
    return live.rules.contact.dialect or next(shown, "")


def family(live: Live) -> str | None:
    """Return whose words a vehicle's tracker obeys as texts, None where that is not known."""
    return live.rules.contact.sms_family or _FAMILIES.get(live.state.protocol)


def phone(live: Live) -> str | None:
    """Return the number to send texts to, None where none may be sent."""
    number = live.rules.contact.phone
    reachable = number is not None and live.rules.commands.sms and live.vehicle.trackers
    return number.reveal() if number is not None and reachable else None


def is_dangerous(command: Command) -> bool:
    """Whether a command can stop an engine, whichever tracker it goes to."""
    if isinstance(command, Raw):
        return any(one.cuts_engine(command.text.encode()) for one in VOCABULARIES.values())
    return command.name in ENGINE_WORDS


def is_forbidden(command: Command) -> bool:
    """Whether a command holds what is never sent."""
    return isinstance(command, Raw) and any(
        one.forbids(command.text.encode()) for one in VOCABULARIES.values()
    )
