"""What people and programs ask of a running bridge: ``bridge/request/*`` -> ``bridge/response/*``.

A request is a JSON object with an optional ``transaction``, which comes back in the answer:
``{"transaction": ..., "status": "ok", "data": {...}}`` or ``{"status": "error", "error": "..."}``.
"""

from bridge.requests.verbs import Announcer, House, Requests

__all__ = ["Announcer", "House", "Requests"]
