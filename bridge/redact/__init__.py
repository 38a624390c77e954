"""What a tracker sent, made fit for a public issue: other ids, other places, the same grammar."""

from bridge.redact.capture import CapturedFrame, capture_lines
from bridge.redact.frames import Redactor

__all__ = ["CapturedFrame", "Redactor", "capture_lines"]
