"""The body of a request: a JSON object of which each field is read as what it must be."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import msgspec

from bridge import history
from bridge.errors import RequestError

LONGEST_TEXT = 80


class Body:
    """Every reader raises RequestError that says what the field must be."""

    def __init__(self, fields: Mapping[str, Any]) -> None:
        self._fields = fields

    @classmethod
    def read(cls, payload: bytes) -> Body:
        """Return what stands in a payload; an empty one asks for nothing in particular."""
        if not payload.strip():
            return cls({})
        try:
            fields = msgspec.json.decode(payload)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise RequestError(f"request is not JSON: {error}") from None
        except RecursionError:
            raise RequestError("request is nested too deeply") from None
        if not isinstance(fields, dict):
            raise RequestError("request is not a JSON object")
        return cls(fields)

    @property
    def transaction(self) -> Any:  # noqa: ANN401 - it goes back as it came
        """What the asker knows the answer by, None where it did not say."""
        return self._fields.get("transaction")

    def without(self, field: str) -> dict[str, Any]:
        """Return all fields but one, unread."""
        return {name: value for name, value in self._fields.items() if name != field}

    def block(self, field: str) -> dict[str, Any]:
        """Return an object that must be there."""
        value = self._fields.get(field)
        if not isinstance(value, dict):
            raise RequestError(f"{field} must be a block of {field}")
        return value

    def text(self, field: str, *, required: bool = False) -> str:
        """Return a line of text without the blanks around it, empty where it is left out."""
        value = self._fields.get(field, "")
        if not isinstance(value, str) or len(value) > LONGEST_TEXT or not value.isprintable():
            raise RequestError(f"{field} must be text of at most {LONGEST_TEXT} characters")
        if required and not value.strip():
            raise RequestError(f"{field} is missing")
        return value.strip()

    def flag(self, field: str, *, default: bool) -> bool:
        """Return true or false."""
        value = self._fields.get(field, default)
        if not isinstance(value, bool):
            raise RequestError(f"{field} must be true or false")
        return value

    def whole(self, field: str, default: int, low: int, high: int) -> int:
        """Return a whole number within bounds, both included."""
        value = self._fields.get(field, default)
        if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
            raise RequestError(f"{field} must be a whole number from {low} to {high}")
        return value

    def moment(self, field: str, default: datetime) -> datetime:
        """Return a moment, written as RFC 3339."""
        said = self.text(field)
        return history.moment(said, field) if said else default
