"""Home Assistant, kept on this machine; run by the interpreter of its own environment.

Its arguments are those of `hass`. Two ways are changed. Its mDNS, which would listen on port 5353
of every address, listens on loopback. And two libraries that clean sound for voice assistants, of
which there are no wheels, are empty where they are missing: without them no page can be shown.
"""

from __future__ import annotations

import importlib.util
import sys
from types import ModuleType

import homeassistant.__main__
import homeassistant.components.zeroconf

SOUND = {"pymicro_vad": "MicroVad", "pyspeex_noise": "AudioProcessor"}


def _loopback_alone(_hass: object) -> dict[str, object]:
    return {"interfaces": ["127.0.0.1"], "unicast": True}


if __name__ == "__main__":
    homeassistant.components.zeroconf._async_get_zc_args = _loopback_alone
    for library, name in SOUND.items():
        if importlib.util.find_spec(library) is None:
            sys.modules[library] = ModuleType(library)
            setattr(sys.modules[library], name, object)
    sys.exit(homeassistant.__main__.main())
