"""Draws icon and logo of component and app: a pin on the map that is a car, and tells where it is.

    .venv-ha/bin/python docs/brand/draw.py      (Pillow is in the component's environment)

Everything is drawn here, by numbers on a grid of 256 by 256, eight times as large as it is needed
and then made smaller. Sizes and names are those that Home Assistant and HACS ask for.
"""

from __future__ import annotations

from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

ROOT = Path(__file__).resolve().parents[2]
BRAND = ROOT / "custom_components/tk103b/brand"
APP = ROOT / "tk103b_bridge"
APP_LOGO = (250, 100)
GRID = 256
FINE = 8

NAME = "TK103B Bridge"
NAME_SIZE = 96.0
NAME_GAP = 24.0
PIN_LEFT, PIN_RIGHT = 26, 228

Colour = tuple[int, int, int, int]
Point = tuple[float, float]

TEAL: Colour = (0, 121, 128, 255)
WHITE: Colour = (255, 255, 255, 255)
AMBER: Colour = (255, 179, 0, 255)
CLEAR: Colour = (0, 0, 0, 0)
INK: dict[str, Colour] = {"": (33, 43, 54, 255), "dark_": (236, 240, 244, 255)}
"""What is written, on light and on dark ground."""


class Drawing:
    """A canvas in units of the grid, drawn fine."""

    def __init__(self, width: float, height: float) -> None:
        self.image = Image.new("RGBA", (round(width * FINE), round(height * FINE)), CLEAR)
        self._draw = ImageDraw.Draw(self.image)

    def circle(self, centre: Point, radius: float, fill: Colour) -> None:
        """Draw a disc."""
        self._draw.ellipse(_around(centre, radius), fill=fill)

    def polygon(self, *points: Point, fill: Colour) -> None:
        """Draw a surface with straight edges."""
        self._draw.polygon([(x * FINE, y * FINE) for x, y in points], fill=fill)

    def bar(self, corner: Point, opposite: Point, radius: float, fill: Colour) -> None:
        """Draw a rectangle with round corners."""
        box = [number * FINE for number in (*corner, *opposite)]
        self._draw.rounded_rectangle(box, radius * FINE, fill=fill)

    def wave(self, centre: Point, radius: float, fill: Colour) -> None:
        """Draw a part of a ring, above its centre."""
        self._draw.arc(_around(centre, radius), 222, 318, fill=fill, width=8 * FINE)

    def words(self, start: Point, text: str, fill: Colour) -> None:
        """Write on a line; `start` is its left end, at half its height."""
        size = NAME_SIZE * FINE
        font = ImageFont.load_default(size)
        at = (start[0] * FINE, start[1] * FINE)
        bold = size * 0.012
        self._draw.text(at, text, fill, font, "lm", stroke_width=bold, stroke_fill=fill)

    def sized(self, width: int, height: int) -> Image.Image:
        """Return the picture in as many pixels."""
        return self.image.resize((width, height), Image.Resampling.LANCZOS)


def _around(centre: Point, radius: float) -> list[float]:
    x, y = centre
    return [number * FINE for number in (x - radius, y - radius, x + radius, y + radius)]


def pin(on: Drawing) -> None:
    """Draw a pin whose head is the front of a car, with two waves above its roof."""
    on.circle((128, 104), 100, TEAL)
    # Where lines from the tip touch the circle, so that neither has a corner.
    on.polygon((53.5, 170.7), (202.5, 170.7), (128, 254), fill=TEAL)
    for radius in (22, 38):
        on.wave((128, 62), radius, AMBER)
    on.circle((128, 57), 6, AMBER)
    on.polygon((92, 76), (164, 76), (182, 114), (74, 114), fill=WHITE)
    on.polygon((98, 84), (158, 84), (170, 110), (86, 110), fill=TEAL)
    on.bar((64, 110), (192, 154), 14, WHITE)
    for x in (72, 160):
        on.bar((x, 146), (x + 24, 170), 6, WHITE)
    for x in (86, 170):
        on.circle((x, 131), 9, AMBER)
    on.bar((106, 127), (150, 135), 4, TEAL)


def icon() -> Drawing:
    """Return the pin alone, square."""
    drawn = Drawing(GRID, GRID)
    pin(drawn)
    return drawn


def logo(ink: Colour) -> Drawing:
    """Return the pin and the name."""
    length = ImageFont.load_default(NAME_SIZE).getlength(NAME)
    drawn = Drawing(PIN_RIGHT + 2 * NAME_GAP + length, GRID)
    pin(drawn)
    drawn.words((PIN_RIGHT + NAME_GAP, GRID * 0.41), NAME, ink)
    # In its square the pin leaves room at its sides.
    right = drawn.image.width - round(NAME_GAP / 2 * FINE)
    drawn.image = drawn.image.crop((PIN_LEFT * FINE, 0, right, drawn.image.height))
    return drawn


def framed(drawn: Image.Image, width: int, height: int) -> Image.Image:
    """Return a picture in the middle of a clear ground, as large as it can be there."""
    scale = min(width / drawn.width, height / drawn.height)
    small = drawn.resize(
        (round(drawn.width * scale), round(drawn.height * scale)), Image.Resampling.LANCZOS
    )
    ground = Image.new("RGBA", (width, height), CLEAR)
    ground.paste(small, ((width - small.width) // 2, (height - small.height) // 2))
    return ground


def main() -> None:
    """Write every picture."""
    icon().sized(128, 128).save(APP / "icon.png", optimize=True)
    # The app's page has one logo for light and dark ground, so its ink must be seen on both.
    framed(logo(TEAL).image, *APP_LOGO).save(APP / "logo.png", optimize=True)
    for suffix, size in (("", 256), ("@2x", 512)):
        icon().sized(size, size).save(BRAND / f"icon{suffix}.png", optimize=True)
        for theme, ink in INK.items():
            drawn = logo(ink)
            width = round(drawn.image.width * size / 2 / drawn.image.height)
            drawn.sized(width, size // 2).save(BRAND / f"{theme}logo{suffix}.png", optimize=True)


if __name__ == "__main__":
    main()
