"""The examples of the language's description, word for word: legal for ever, with the same hash for ever."""

import pytest

from archspec import zoo
from archspec.spec import dump, load_spec, resolve, spec_hash
from archspec.spec.load import parse_json
from tests.zoo.files import HERE, resolved, table

EXAMPLES = sorted(file.stem for file in (HERE / "examples").glob("*.json"))
# The description quotes sizes from common knowledge and says that the zoo checks them. Where the zoo differs, and why:
DIFFERENT = {
    "bigbird-roberta-base": "the last block that all see may be a short one",
    "glm-130b": "the released code norms first and ends in a norm; its head is tied",
    "idefics-9b": "the published model has norms on queries and keys",
    "nsa-module": "the published module's gates have biases",
    "reformer-enwik8": "the published model has one hashed layer in four, not in two",
    "retnet-1.3b": "the paper's 1.3B has plain feed-forward layers and a tied head",
}


@pytest.mark.parametrize("name", EXAMPLES)
def test_example(name: str) -> None:
    spec = load_spec(HERE / "examples" / f"{name}.json")
    digest = spec_hash(resolve(spec))
    assert digest == table("example_hashes.txt")[name]
    assert spec_hash(load_spec(parse_json(dump(spec)))) == digest
    assert (digest == spec_hash(resolved(name))) is (name not in DIFFERENT)


def test_each_example_has_a_file_of_its_own_in_the_zoo() -> None:
    assert len(EXAMPLES) == 13
    assert set(EXAMPLES) <= set(zoo.names())
