"""Amounts of memory as people write them."""

import re

from archspec.errors import InputError

_UNITS = {
    "": 10**9,  # --budget-gb 24
    "b": 1,
    "kb": 10**3,
    "mb": 10**6,
    "gb": 10**9,
    "tb": 10**12,
    "kib": 2**10,
    "mib": 2**20,
    "gib": 2**30,
    "tib": 2**40,
}
_AMOUNT = re.compile(r"\s*(\d+(?:\.\d+)?)\s*([a-z]*)\s*", re.IGNORECASE)


def parse_bytes(text: str | float, *, source: str = "--budget-gb") -> int:
    """`24` and `24GB` are 24e9 bytes, `24GiB` is 24 * 2^30.

    Errors: InputError for anything else and for nothing at all.
    """
    match = _AMOUNT.fullmatch(str(text))
    unit = _UNITS.get(match.group(2).lower()) if match else None
    if match is None or unit is None:
        raise InputError(
            f"'{text}' is not an amount of memory; write 24, 24GB (both 24e9 bytes) or 24GiB", source=source
        )
    amount = round(float(match.group(1)) * unit)
    if not 0 < amount < 2**62:
        raise InputError(f"'{text}' is out of range", source=source)
    return amount


def shown_bytes(amount: float) -> str:
    """In the unit of --budget-gb: 1e9 bytes."""
    return f"{amount / 1e9:.2f} GB" if amount >= 1e8 else f"{amount / 1e6:.2f} MB"
