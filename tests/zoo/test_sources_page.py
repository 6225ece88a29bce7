"""docs/zoo-sources.md has one line for each spec of the zoo, in order."""

import re
from pathlib import Path

from archspec import zoo

PAGE = Path(__file__).parents[2] / "docs/zoo-sources.md"
ROW = re.compile(r"^\| `([^`]+)` \| (yes|in part|no) \| ([^|]*)\| [^|]*\|$", re.MULTILINE)


def test_one_line_for_each_spec() -> None:
    assert [row[0] for row in ROW.findall(PAGE.read_text(encoding="utf-8"))] == sorted(zoo.names())


def test_what_is_confirmed_names_its_source() -> None:
    for name, confirmed, source in ROW.findall(PAGE.read_text(encoding="utf-8")):
        assert bool(source.strip()) == (confirmed != "no"), name
