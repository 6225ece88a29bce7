"""Takes functions and classes out of Python files as text, each with what it refers to. Imports none of them."""

import ast
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path

from compiler import ops


@dataclass(frozen=True)
class Piece:
    """One top-level definition: its text, the names that it refers to."""

    name: str
    text: str
    refers: frozenset[str]


@cache
def pieces(module: str) -> dict[str, Piece]:
    """Top-level functions, classes and constants of a module by name, in file order."""
    spec = find_spec(module)
    assert spec is not None and spec.origin is not None, module
    text = Path(spec.origin).read_text(encoding="utf-8")
    lines = text.splitlines()
    found: dict[str, Piece] = {}
    for node in ast.parse(text).body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            first = min([node.lineno, *(d.lineno for d in node.decorator_list)])
            body = "\n".join(lines[first - 1 : node.end_lineno])
            refers = {n.id for n in ast.walk(node) if isinstance(n, ast.Name)} - {node.name}
            found[node.name] = Piece(node.name, body, frozenset(refers))
    return found


@cache
def helper_names() -> frozenset[str]:
    """Names of all functions and classes that some file may hold: no variable of a file takes them."""
    runtime = Path(__file__).parent / "runtime"
    homes = [f"compiler.emit.torch.runtime.{file.stem}" for file in runtime.glob("[a-z]*.py")]
    homes += [
        f"compiler.ops.{file.parent.name}.torch_helpers"
        for file in Path(ops.__file__).parent.glob("*/torch_helpers.py")
    ]
    return frozenset(name for home in homes for name in pieces(home))


def closure(wanted: list[tuple[str, str]], modules: tuple[str, ...]) -> list[Piece]:
    """The wanted (module, name) pieces and all that they refer to, what is referred to first.

    Names that a piece does not find in its own module are looked for in `modules`.
    """
    ordered: dict[str, Piece] = {}

    def visit(module: str, name: str) -> None:
        if name in ordered:
            return
        piece = pieces(module)[name]
        for other in sorted(piece.refers):
            home = next((m for m in (module, *modules) if other in pieces(m)), None)
            if home is not None:
                visit(home, other)
        ordered[name] = piece

    for module, name in wanted:
        visit(module, name)
    return list(ordered.values())
