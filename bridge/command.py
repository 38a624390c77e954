"""What a tracker can be told: one type a command, in one vocabulary for every protocol.

As JSON a command is an object with its name and its arguments, ``{"command": "set_interval",
"seconds": 30}``. Which tracker obeys which one is told by the encoder table of its protocol.
"""

from __future__ import annotations

from datetime import date
from typing import Annotated

import msgspec
from msgspec import Meta

Seconds = Annotated[int, Meta(ge=5, le=24 * 3600)]
Kmh = Annotated[int, Meta(ge=0, le=300)]
OffsetMinutes = Annotated[int, Meta(ge=-12 * 60, le=14 * 60)]
Latitude = Annotated[float, Meta(ge=-90, le=90)]
Longitude = Annotated[float, Meta(ge=-180, le=180)]
Port = Annotated[int, Meta(ge=1, le=65535)]
_END = r"(?!\n)$"
"""The end of a text: ``$`` alone lets a line end stand before it."""
_OCTET = "(25[0-5]|2[0-4][0-9]|1?[0-9]?[0-9])"
Phone = Annotated[str, Meta(pattern=rf"^\+?[0-9]{{3,20}}{_END}")]
Digits = Annotated[str, Meta(pattern=rf"^[0-9]{{1,8}}{_END}")]
Address = Annotated[str, Meta(pattern=rf"^{_OCTET}(\.{_OCTET}){{3}}{_END}")]
Text = Annotated[str, Meta(min_length=1, max_length=200, pattern=rf"^[\x20-\x7e]+{_END}")]


class Command(
    msgspec.Struct, frozen=True, kw_only=True, tag_field="command", forbid_unknown_fields=True
):
    """Any command; `name` is its word in JSON."""

    @property
    def name(self) -> str:
        """The word of this kind of command."""
        return str(self.__struct_config__.tag)


class RequestPosition(Command, frozen=True, kw_only=True, tag="request_position"):
    """Report once, now."""


class SetInterval(Command, frozen=True, kw_only=True, tag="set_interval"):
    """Report every so many seconds."""

    seconds: Seconds


class StopReporting(Command, frozen=True, kw_only=True, tag="stop_reporting"):
    """Report no more by the clock."""


class Arm(Command, frozen=True, kw_only=True, tag="arm"):
    """Watch door, ignition and shocks."""


class Disarm(Command, frozen=True, kw_only=True, tag="disarm"):
    """Watch no more."""


class AcknowledgeAlarm(Command, frozen=True, kw_only=True, tag="acknowledge_alarm"):
    """Stop repeating an alarm."""


class StopEngine(Command, frozen=True, kw_only=True, tag="engine_stop"):
    """Cut fuel and ignition. Dangerous: gated wherever it can be asked for."""


class ResumeEngine(Command, frozen=True, kw_only=True, tag="engine_resume"):
    """Restore fuel and ignition."""


class SpeedLimit(Command, frozen=True, kw_only=True, tag="speed_limit"):
    """Ring above this speed; 0: never."""

    kmh: Kmh


class MovementAlarm(Command, frozen=True, kw_only=True, tag="movement_alarm"):
    """Ring when moved from here."""

    enabled: bool = True


class Fence(Command, frozen=True, kw_only=True, tag="fence"):
    """Ring at the border of a rectangle given by two corners."""

    north: Latitude
    west: Longitude
    south: Latitude
    east: Longitude


class ClearFence(Command, frozen=True, kw_only=True, tag="clear_fence"):
    """Forget the fence."""


class SetTimeZone(Command, frozen=True, kw_only=True, tag="time_zone"):
    """Set the tracker's local clock to this offset from UTC."""

    offset_minutes: OffsetMinutes = 0


class LessGprs(Command, frozen=True, kw_only=True, tag="less_gprs"):
    """Stay silent while parked."""

    enabled: bool = True


class UploadLog(Command, frozen=True, kw_only=True, tag="upload_log"):
    """Send what the memory card holds of one day."""

    day: date


class Reboot(Command, frozen=True, kw_only=True, tag="reboot"):
    """Start again."""


class RequestVersion(Command, frozen=True, kw_only=True, tag="version"):
    """Tell the firmware's version."""


class ResetOdometer(Command, frozen=True, kw_only=True, tag="reset_odometer"):
    """Count kilometres from 0."""


class SwitchOutput(Command, frozen=True, kw_only=True, tag="output"):
    """Set an output, in the tracker's own digits."""

    data: Digits


class TakePhoto(Command, frozen=True, kw_only=True, tag="photo"):
    """Take a picture, where there is a camera."""


class Identify(Command, frozen=True, kw_only=True, tag="identify"):
    """Tell the identity."""


class SosAlarm(Command, frozen=True, kw_only=True, tag="sos_alarm"):
    """Let the SOS button ring, or not."""

    enabled: bool = True


class SetServer(Command, frozen=True, kw_only=True, tag="set_server"):
    """Report to another server; an IPv4 address."""

    address: Address
    port: Port


class SosNumber(Command, frozen=True, kw_only=True, tag="sos_number"):
    """Whom the SOS button calls."""

    phone: Phone


class Raw(Command, frozen=True, kw_only=True, tag="raw"):
    """The tracker's own words, as they stand."""

    text: Text


AnyCommand = (
    RequestPosition
    | SetInterval
    | StopReporting
    | Arm
    | Disarm
    | AcknowledgeAlarm
    | StopEngine
    | ResumeEngine
    | SpeedLimit
    | MovementAlarm
    | Fence
    | ClearFence
    | SetTimeZone
    | LessGprs
    | UploadLog
    | Reboot
    | RequestVersion
    | ResetOdometer
    | SwitchOutput
    | TakePhoto
    | Identify
    | SosAlarm
    | SetServer
    | SosNumber
    | Raw
)
