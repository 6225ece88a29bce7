"""docs/systems.md is what the code says today, and the comparisons that it names exist."""

import ast

import pytest

from archspec import zoo
from tests.zoo.compared import IMPORTED_AS, LEFT_OUT, MEANT_AS, PARITY, ROOT, Comparison, all_comparisons, comparison
from tests.zoo.test_coverage import SYSTEMS
from tests.zoo.write_systems import COMMAND, PAGE, facts, page


def test_page_is_current() -> None:
    assert PAGE.read_text(encoding="utf-8") == page(), f"docs/systems.md is stale: run `{COMMAND}`"


def test_every_spec_of_the_zoo_is_written_by_both_targets() -> None:
    found = {name: facts(name) for name in zoo.names()}
    assert {name: f for name, f in found.items() if (f.lowers, f.torch, f.onnx) != ("yes", "yes", "yes")} == {}


@pytest.mark.parametrize("found", all_comparisons(), ids=lambda found: found.test.partition("::")[2])
def test_named_test_exists_with_its_bound(found: Comparison) -> None:
    file, _, name = found.test.partition("::")
    text = (ROOT / file).read_text(encoding="utf-8")
    (body,) = (
        ast.get_source_segment(text, node) or ""
        for node in ast.parse(text).body
        if isinstance(node, ast.FunctionDef) and node.name == name
    )
    shared = ("everywhere(" in body or "near(" in body) and (ROOT / "tests/parity/targets.py").read_text(
        encoding="utf-8"
    )
    assert found.tolerance in body or (shared and f"TOLERANCE = {found.tolerance}" in shared)
    for word in found.reference.removeprefix("transformers ").split() if "transformers" in found.reference else ():
        assert word in text, f"{file} does not use {word}"


def test_tables_name_systems() -> None:
    for table in (PARITY, MEANT_AS, IMPORTED_AS, LEFT_OUT):
        assert set(table) <= set(SYSTEMS)


def test_nothing_by_hand_where_a_table_says_it() -> None:
    for system, found in PARITY.items():
        assert comparison(system, SYSTEMS[system]) is found
