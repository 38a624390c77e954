"""The bridge's exceptions: one family, each carrying the facts a caller or a person needs."""

from __future__ import annotations


class BridgeError(Exception):
    """Anything the bridge reports to a person in one sentence, without a traceback."""

    exit_code = 1


class ConfigError(BridgeError):
    """A mistake in the configuration: says where it stands and what would be right."""

    exit_code = 2

    def __init__(
        self, message: str, *, file: str = "", line: int | None = None, hint: str = ""
    ) -> None:
        self.message = message
        self.file = file
        self.line = line
        self.hint = hint
        where = f"{file}:{line}: " if file and line else f"{file}: " if file else ""
        super().__init__(f"{where}{message}{f' ({hint})' if hint else ''}")


class StorageError(BridgeError):
    """The data folder cannot be used: locked, damaged, newer than this program, or not writable."""

    exit_code = 4


class DuplicateBridgeError(BridgeError):
    """Another bridge already serves this base topic."""

    exit_code = 3


class BrokerError(BridgeError):
    """The MQTT broker refuses us for a reason that trying again does not mend."""

    exit_code = 5


class RequestError(BridgeError):
    """A request that cannot be carried out; the text goes back to whoever asked."""


class DecodeError(ValueError):
    """A frame that breaks its protocol's grammar.

    A ValueError, so that a plain ``int()`` or ``float()`` on a peer's text is the same refusal:
    `Connection` turns every ValueError of a decoder into a `Rejected` event.
    """

    def __init__(self, field: str, value: object = "") -> None:
        self.field = field
        self.value = value
        super().__init__(f"malformed {field}")
