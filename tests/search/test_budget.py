import pytest

from archspec.errors import InputError
from search.budget import parse_bytes, shown_bytes


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("24", 24_000_000_000),
        (24, 24_000_000_000),
        (0.5, 500_000_000),
        ("24GB", 24_000_000_000),
        ("16 GB", 16_000_000_000),
        ("24GiB", 24 * 2**30),
        ("24gib", 24 * 2**30),
        ("1.5 TiB", 3 * 2**39),
        ("800 MB", 800_000_000),
        ("4096B", 4096),
    ],
)
def test_amounts(text: str | float, expected: int) -> None:
    assert parse_bytes(text) == expected


@pytest.mark.parametrize(
    "text", ["", "GB", "24 G B", "24GBs", "-24", "0", "nan", "inf", "1e3", "24,5", "99999999999TB"]
)
def test_what_is_no_amount(text: str) -> None:
    with pytest.raises(InputError, match="--limit"):
        parse_bytes(text, source="--limit")


def test_shown() -> None:
    assert (shown_bytes(24e9), shown_bytes(3_500_000)) == ("24.00 GB", "3.50 MB")
