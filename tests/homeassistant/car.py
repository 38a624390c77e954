"""A car with a simulated tracker in it: the simulator as people start it, along a way of ours."""

from __future__ import annotations

import math
import signal
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

from tests.conftest import PATIENCE_S
from tests.homeassistant.hass import HOME

METRES_A_DEGREE = 111_195.0
A_STEP_M = 0.2
"""The simulator drives no way without length; on the wire this is none."""


class Car:
    """A car that drives east from home; it goes on where it has stopped."""

    def __init__(self, folder: Path, bridge_port: int, device_id: str, metres: float) -> None:
        self.device_id = device_id
        self.metres = metres
        """So far east of home it is."""
        self._folder = folder
        self._port = bridge_port
        self._process: subprocess.Popen[bytes] | None = None

    def stand(self) -> None:
        """Report from where it is, parked, once a second."""
        self._run(self._way(A_STEP_M, 1))

    def drive(self, metres: float, seconds: int, *options: str) -> None:
        """Drive so far in so many seconds, report once a second, then stay parked and report."""
        self._run(self._way(metres, seconds), *options)
        self.metres += metres

    def stop(self) -> str:
        """Fall silent; return what the simulator has to say at the end."""
        assert self._process is not None
        self._process.send_signal(signal.SIGINT)
        said, _ = self._process.communicate(timeout=PATIENCE_S)
        self._process = None
        return said.decode()

    def kill(self) -> None:
        """Fall silent whatever happens."""
        if self._process is not None:
            self._process.kill()
            self._process.communicate()
            self._process = None

    @property
    def place(self) -> tuple[float, float]:
        """Where it is when it has driven."""
        return self._at(self.metres)

    def _at(self, metres: float) -> tuple[float, float]:
        latitude, longitude = HOME
        return latitude, longitude + metres / METRES_A_DEGREE / math.cos(math.radians(latitude))

    def _way(self, metres: float, seconds: int) -> Path:
        start = datetime(2026, 1, 1, tzinfo=UTC)
        points = []
        for second in range(seconds + 1):
            latitude, longitude = self._at(self.metres + metres * second / seconds)
            time = (start + timedelta(seconds=second)).isoformat()
            points.append(
                f'<trkpt lat="{latitude:.6f}" lon="{longitude:.6f}"><time>{time}</time></trkpt>'
            )
        file = self._folder / "way.gpx"
        file.write_text(f"<gpx><trk><trkseg>{''.join(points)}</trkseg></trk></gpx>")
        return file

    def _run(self, way: Path, *options: str) -> None:
        assert self._process is None, "it is under way"
        self._process = subprocess.Popen(
            [sys.executable, "-m", "bridge", "simulate", "--port", str(self._port),
             "--id", self.device_id, "--route", str(way), "--interval", "1",
             "--utc-offset", "+00:00", *options],
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )  # fmt: skip
