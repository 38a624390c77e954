"""Files into history: frames, GPX, CSV and GeoJSON become points of a vehicle's past."""

from bridge.importing.items import Bad
from bridge.importing.opening import KINDS, Kind, Written
from bridge.importing.table import FIELDS
from bridge.importing.values import Times, zone
from bridge.importing.whole import OfFile, OfVehicle, Outcome, Wanted, Watcher, import_files

__all__ = [
    "FIELDS",
    "KINDS",
    "Bad",
    "Kind",
    "OfFile",
    "OfVehicle",
    "Outcome",
    "Times",
    "Wanted",
    "Watcher",
    "Written",
    "import_files",
    "zone",
]
