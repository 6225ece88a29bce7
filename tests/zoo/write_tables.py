"""Writes hashes.txt and not_lowered.txt anew: `python -m tests.zoo.write_tables`. Read the diff before a commit."""

from archspec import zoo
from archspec.spec import spec_hash
from tests.zoo.files import HERE, lowered, resolved

HASHES = "# name and hash of every spec in the zoo; written by write_tables.py\n"
NOT_LOWERED = "# specs that the compiler cannot lower yet, and why; this list may only shrink\n"


def main() -> None:
    names = zoo.names()
    width = max(map(len, names))
    hashes = [f"{name:{width}} {spec_hash(resolved(name))}\n" for name in names]
    (HERE / "hashes.txt").write_text(HASHES + "".join(hashes))
    reasons = {name: lowered(name) for name in names}
    missing = [f"{name:{width}} {why}\n" for name, why in reasons.items() if isinstance(why, str)]
    (HERE / "not_lowered.txt").write_text(NOT_LOWERED + "".join(missing))


if __name__ == "__main__":
    main()
