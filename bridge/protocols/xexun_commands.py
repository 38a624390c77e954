"""What xexun trackers can be told over GPRS: the relay, with the password in the words.

Nothing is answered. Source: docs/protocols.md, xexun, commands.
"""

from __future__ import annotations

from bridge import command as c
from bridge.protocols.cutting import cuts_in_words, unguards
from bridge.protocols.encoding import Vocabulary

POWERCAR = "powercar"

VOCABULARY = Vocabulary(
    dialects={
        POWERCAR: {
            c.StopEngine: lambda _, target: f"powercar{target.password} 11".encode(),
            c.ResumeEngine: lambda _, target: f"powercar{target.password} 00".encode(),
            c.Raw: lambda command, _: command.text.encode(),
        }
    },
    answers={},
    cuts_engine=cuts_in_words,
    forbids=unguards,
)
