"""TK103B Bridge: GPS trackers of the TK103 family in, MQTT and Home Assistant out."""

__version__ = "0.1.0"
