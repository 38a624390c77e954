"""A bridge in one file: who it knows, what it has journalled, how it is configured.

    tk103b-backup-20261122-123000.zip
        manifest.json          who wrote it and when; size and SHA-256 of every other member
        registry.json          vehicles and ids, and the bridge's own identity
        journal.db             history and outbox, as of one moment
        tk103b-bridge.yaml     the configuration, without its secrets unless asked for
        secrets.yaml           what it names with !secret, only if asked for

The file is whole or not there, and nobody else may read it. What is restored has the same
identities, and goes on counting under a new epoch.
"""

from bridge.backup.archive import Manifest
from bridge.backup.keeping import Shelf
from bridge.backup.restoring import Restored, restore
from bridge.backup.saving import back_up, default_name

__all__ = ["Manifest", "Restored", "Shelf", "back_up", "default_name", "restore"]
