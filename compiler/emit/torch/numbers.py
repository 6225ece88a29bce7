"""Constants as Python text."""

from collections.abc import Sequence

from compiler.emit.torch.names import quoted


def floats(values: Sequence[float], indent: int = 4, width: int = 116) -> str:
    """A tuple literal of floats that read back exactly, wrapped."""
    lines, line = [], " " * indent
    for value in values:
        item = f"{value!r}, "
        if len(line) + len(item) > width:
            lines.append(line.rstrip())
            line = " " * indent
        line += item
    return "(\n" + "\n".join([*lines, line.rstrip()]) + "\n)  # fmt: skip"


def strings(values: list[str]) -> str:
    """A tuple literal of strings."""
    return f"({', '.join(map(quoted, values))}{',' if len(values) == 1 else ''})"
