"""What people have a tracker told, and in which words they hear that it came to nothing."""

from collections.abc import Mapping
from typing import Any

from homeassistant.core import Context, HomeAssistant
from homeassistant.exceptions import HomeAssistantError

from .contract import CommandResult
from .coordinator import BridgeCoordinator, failure

EXPLAINED = frozenset({
    "command_unsupported", "command_too_many", "command_busy", "command_not_enabled",
    "command_raw_not_enabled", "command_forbidden", "command_not_connected", "command_needs_tcp",
    "command_session_not_trusted", "command_no_fresh_fix", "command_too_fast",
    "command_fixes_disagree", "command_needs_mqtt_5", "command_no_answer",
})  # fmt: skip
"""The reasons of the bridge that are translated."""

_LONGEST_NAME = 60


async def async_tell(
    coordinator: BridgeCoordinator, key: str, command: str, context: Context | None
) -> None:
    """Give a vehicle's tracker a command, and wait for what comes of it.

    Raises HomeAssistantError, in translated words, where that is not what was wanted.
    """
    by = await async_asker(coordinator.hass, context)
    complain(await coordinator.command(key, {"command": command, "by": by}))


async def async_asker(hass: HomeAssistant, context: Context | None) -> str:
    """Return who asks, for the bridge's log: the user, if a user it is."""
    user_id = context.user_id if context is not None else None
    user = await hass.auth.async_get_user(user_id) if user_id is not None else None
    name = "".join(sign for sign in (user.name if user else None) or "" if sign.isprintable())
    return f"home_assistant ({name[:_LONGEST_NAME]})" if name else "home_assistant"


def complain(step: CommandResult, *, waiting_is_fine: bool = False) -> None:
    """Raise HomeAssistantError unless a command has come as far as it was to."""
    is_open = not step.get("final")
    match step.get("status"):
        case "acknowledged" | "postponed":
            return
        case "sent" | "queued" if waiting_is_fine or not is_open:
            return
        case "queued":
            raise failure(HomeAssistantError, "command_waits")
        case "sent":
            reason = "no_answer"
        case _:
            reason = step.get("reason", "")
    if f"command_{reason}" in EXPLAINED:
        raise failure(HomeAssistantError, f"command_{reason}")
    if reason:
        raise failure(HomeAssistantError, "command_refused", reason=reason)
    raise failure(HomeAssistantError, "command_refused_by_tracker", answer=step.get("answer", ""))


def answer(step: CommandResult) -> dict[str, Any]:
    """Return what an automation is told: the step, but what only we and the bridge need."""
    told: Mapping[str, Any] = step
    return {name: one for name, one in told.items() if name not in ("transaction", "epoch", "seq")}
