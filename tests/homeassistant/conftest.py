"""The whole house: a broker, a bridge, a Home Assistant and a car; each a real process."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import Mosquitto
from tests.e2e.conftest import BridgeProcess
from tests.homeassistant.car import Car
from tests.homeassistant.hass import HomeAssistant
from tests.homeassistant.household import MakeCar, Story
from tests.homeassistant.story import GOLF


@pytest.fixture
def bridge(mosquitto: Mosquitto, tmp_path: Path) -> Iterator[BridgeProcess]:
    """A bridge that is not started yet."""
    process = BridgeProcess(tmp_path, mosquitto.port)
    yield process
    if process.process is not None:
        process.stop(signal.SIGKILL)


@pytest.fixture
def hass(tmp_path: Path) -> Iterator[HomeAssistant]:
    """A Home Assistant that is not started yet."""
    house = HomeAssistant(tmp_path / "hass")
    yield house
    house.stop(signal.SIGKILL)


@pytest.fixture
def car(tmp_path: Path, bridge: BridgeProcess) -> Iterator[MakeCar]:
    """Make cars, by the id of their tracker."""
    cars: list[Car] = []

    def make(device_id: str, metres: float = 0.0) -> Car:
        cars.append(Car(tmp_path, bridge.port, device_id, metres))
        return cars[-1]

    yield make
    for one in cars:
        one.kill()


@pytest.fixture
def begun(hass: HomeAssistant, bridge: BridgeProcess, mosquitto: Mosquitto, car: MakeCar) -> Story:
    """All who take part, before the first scene."""
    return Story(hass, bridge, mosquitto, car)


@pytest.fixture
def golf(car: MakeCar) -> Car:
    """Its hero."""
    return car(GOLF)
