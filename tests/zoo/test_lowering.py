"""Which specs compile, and that those which do hold as many parameters as the published models."""

import pytest

from archspec import zoo
from tests.zoo.files import lowered, table

COUNTS = {name: int(count.replace(",", "")) for name, count in table("published_parameters.txt").items()}


@pytest.mark.parametrize("name", zoo.names())
def test_list_of_what_cannot_be_lowered_only_shrinks(name: str) -> None:
    why, listed = lowered(name), table("not_lowered.txt")
    if isinstance(why, str):
        assert name in listed, f"{name} was lowered before: {why}"
    else:
        assert name not in listed, f"{name} can be lowered now: run `python -m tests.zoo.write_tables`"


@pytest.mark.parametrize("name", COUNTS)
def test_as_many_parameters_as_published(name: str) -> None:
    count = lowered(name)
    if isinstance(count, str):
        pytest.skip(f"cannot be lowered yet: {count}")
    assert count == COUNTS[name]
