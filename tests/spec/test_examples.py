"""The worked examples and fragments of the language: they validate, print, hash and satisfy the exported schema."""

import json
from pathlib import Path

import pytest

from archspec.spec import (
    canonical,
    dump,
    load_space,
    load_spec,
    resolve,
    space_schema,
    spec_hash,
    spec_schema,
    variant_hash,
)
from archspec.spec.layout import WIDTH
from tests.spec.documents import EXAMPLES, ROOT, SPACES
from tests.spec.json_schema import accepts

GOLDEN = json.loads((Path(__file__).parent / "golden_hashes.json").read_text())
SPEC_SCHEMA, SPACE_SCHEMA = spec_schema(), space_schema()


def key(file: Path) -> str:
    return str(file.relative_to(ROOT / "examples"))


def test_none_is_missing() -> None:
    assert {key(file) for file in EXAMPLES} == set(GOLDEN)
    assert len([file for file in EXAMPLES if file.parent.name == "examples"]) == 13


@pytest.mark.parametrize("file", EXAMPLES, ids=key)
class TestExample:
    def test_hashes_never_change(self, file: Path) -> None:
        resolved = resolve(load_spec(file))
        assert [spec_hash(resolved), variant_hash(resolved)] == GOLDEN[key(file)]

    def test_is_in_canonical_layout(self, file: Path) -> None:
        text = dump(load_spec(file))
        assert file.read_text() == text
        assert json.loads(text) == load_spec(file)._document
        assert max(map(len, text.splitlines())) <= WIDTH

    def test_canonical_form_is_its_own(self, file: Path) -> None:
        form = canonical(load_spec(file))
        assert canonical(load_spec(json.loads(json.dumps(form)))) == form

    def test_satisfies_the_schema(self, file: Path) -> None:
        document = json.loads(file.read_text())
        assert accepts(SPEC_SCHEMA, document)
        assert accepts(SPACE_SCHEMA, document)
        assert accepts(SPEC_SCHEMA, canonical(load_spec(file)))


@pytest.mark.parametrize("file", SPACES, ids=key)
def test_space(file: Path) -> None:
    document = json.loads(file.read_text())
    load_space(file)
    assert accepts(SPACE_SCHEMA, document)
    assert not accepts(SPEC_SCHEMA, document)
    assert dump(document) == file.read_text()


def test_plain_decoder_fits_on_fifteen_lines() -> None:
    text = dump(load_spec(ROOT / "examples" / "llama-3-8b.json"))
    assert len(text.splitlines()) <= 15
