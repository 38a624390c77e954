"""Frames are read as another decoder reads them, save where we differ on purpose and say why."""

from __future__ import annotations

import re

import pytest

from tests.bridge.corpus import FOLDER
from tests.bridge.readings import gps103, gt06, h02, tk103, xexun
from tests.bridge.readings.reader import Case, Reader

READERS = [each.READER for each in (gps103, tk103, xexun, h02, gt06)]
CASES = [(reader, case) for reader in READERS for case in reader.cases()]

here = pytest.mark.skipif(not CASES, reason="the reference corpus is not here")


@here
@pytest.mark.parametrize(
    ("reader", "case"), CASES, ids=[f"{reader.protocol}/{case.name}" for reader, case in CASES]
)
def test_we_read_what_the_reference_reads(reader: Reader, case: Case) -> None:
    known = reader.deviations.get(case.name)
    assert reader.deviation(case) == (known.said if known else {})


@here
@pytest.mark.parametrize("reader", READERS, ids=lambda reader: reader.protocol)
def test_every_deviation_is_still_one(reader: Reader) -> None:
    assert reader.deviations.keys() <= {case.name for case in reader.cases()}


@pytest.mark.parametrize("reader", READERS, ids=lambda reader: reader.protocol)
def test_every_deviation_is_documented(reader: Reader) -> None:
    text = (FOLDER / "deviations.md").read_text("utf-8")
    section = text.partition(f"\n## {reader.protocol}\n")[2].partition("\n## ")[0]
    cases = re.findall(r"^\| ([^|]+/[^|]+) \|", section, re.MULTILINE)
    documented = {name for row in cases for name in row.split(", ")}
    assert reader.deviations.keys() <= documented
