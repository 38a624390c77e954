"""What xexun trackers can be told over GPRS: the relay, with the password in the words.

Source: docs/protocols.md, xexun, commands.
"""

from __future__ import annotations

from bridge import command as c
from bridge.protocols.encoding import Encoders

COMMANDS: Encoders = {
    c.StopEngine: lambda _, target: f"powercar{target.password} 11".encode(),
    c.ResumeEngine: lambda _, target: f"powercar{target.password} 00".encode(),
    c.Raw: lambda command, _: command.text.encode(),
}
