"""Write docs/asyncapi.yaml and docs/reference anew: ``make reference``."""

from __future__ import annotations

from tests.reference.pages import PAGES

for path, render in PAGES.items():
    path.parent.mkdir(exist_ok=True)
    path.write_text(render(), "utf-8")
