"""Writes docs/systems.md anew from the code: `python -m tests.zoo.write_systems`. Read the diff before a commit.

What a spec can do is asked of the compiler itself, without weights: the lowering, both writers, and the operators'
declarations of what they see ahead of a token.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any

from archspec import zoo
from archspec.errors import InputError
from compiler import pipeline
from compiler.emit.onnx.package import sketch
from compiler.emit.onnx.target import Target
from compiler.emit.torch import write_model
from compiler.ir.parts import why_no_step
from compiler.ir.program import Program
from compiler.lower.program import lower
from tests.zoo.compared import ROOT, comparison
from tests.zoo.files import resolved
from tests.zoo.test_coverage import SYSTEMS

PAGE = ROOT / "docs" / "systems.md"
COMMAND = "python -m tests.zoo.write_systems"
OPEN = "not yet compared"
ABLE = ("lowers", "PyTorch", "ONNX", "steps")
USUAL = {"add", "always", "index", "tokens"}  # what a spec says where it says nothing: no feature


@dataclass(frozen=True)
class Facts:
    """Of one spec. The last four: "yes", or why not."""

    ops: tuple[str, ...]
    features: tuple[str, ...]
    lowers: str
    torch: str
    onnx: str
    steps: str


@cache
def facts(name: str) -> Facts:
    found = resolved(name)
    dumped = [stack.model_dump() for stack in found.spec.stacks.values()]
    bodies = [step.model_dump() for stack in found.stacks.values() for body in stack.bodies for step in body]
    ops = {op["type"] for op in _under(bodies, "op")}
    others = {
        value["type"] for value in _objects([bodies, [stack["input"] for stack in dumped]]) if "type" in value
    } - USUAL
    program, lowers = _lowered(name)
    if program is None:
        return Facts(tuple(sorted(ops)), tuple(sorted(others - ops)), lowers, "", "", "")
    ahead = why_no_step(program)
    return Facts(
        tuple(sorted(ops)), tuple(sorted(others - ops)), lowers, _tried(lambda: write_model(program)),
        _tried(lambda: sketch(program, Target())), f"no: {ahead}" if ahead else "yes",
    )  # fmt: skip


def page() -> str:
    """The whole page."""
    rows = {system: (name, facts(name), comparison(system, name)) for system, name in SYSTEMS.items()}
    rest = [name for name in zoo.names() if name not in SYSTEMS.values()]
    compared = [c for _, _, c in rows.values() if c is not None]
    parts = [
        "# Systems",
        f"Written by `{COMMAND}` from the code; `make test` fails when it is stale. What a spec can do is what the "
        "compiler says without weights: it lowers, PyTorch and ONNX can write it, it generates token by token. "
        "A tolerance is the largest absolute difference that the named test allows, with every weight redrawn; those "
        "of `tests/zoo/test_meaning.py` run without padding.",
        "\n".join([
            "| | systems | of |", "| --- | ---: | ---: |",
            *(f"| {text} | {count} | {len(rows)} |" for text, count in (
                ("lower", _count(rows.values(), "lowers")),
                ("PyTorch writes", _count(rows.values(), "torch")),
                ("ONNX writes", _count(rows.values(), "onnx")),
                ("step token by token", _count(rows.values(), "steps")),
                ("compared whole with a reference", sum(not c.part for c in compared)),
                ("compared in part", sum(bool(c.part) for c in compared)),
            )),
        ]),
        "## Compared with their references",
        _table(
            ("system", "spec", "operators", "features", "compared with, tolerance", *ABLE),
            ((system, f"`{name}`", ", ".join(f.ops), ", ".join(f.features), c.line if c else OPEN, f.lowers, f.torch,
              f.onnx, f.steps) for system, (name, f, c) in rows.items()),
        ),
        "## Other specs of the zoo",
        "Published sizes and relatives of the systems above.",
        _table(
            ("spec", "operators", *ABLE),
            ((f"`{name}`", ", ".join(f.ops), f.lowers, f.torch, f.onnx, f.steps)
             for name, f in ((name, facts(name)) for name in rest)),
        ),
    ]  # fmt: skip
    return "\n\n".join(parts) + "\n"


def _count(rows: Any, what: str) -> int:
    return sum(getattr(found, what) == "yes" for _, found, _ in rows)


def _lowered(name: str) -> tuple[Program | None, str]:
    try:
        return pipeline.run(lower(resolved(name)))[0], "yes"
    except InputError as error:
        return None, f"no: {error.message}"


def _tried(write: Callable[[], object]) -> str:
    """A writer's answer. An error that is no refusal is a bug of the writer; it stays on the page until it is gone."""
    try:
        write()
    except InputError as error:
        return f"no: {error.message}"
    except (IndexError, KeyError, TypeError, ValueError, AttributeError, AssertionError) as error:
        return f"bug: {type(error).__name__} in the writer"
    return "yes"


def _objects(value: Any) -> Iterator[dict[str, Any]]:
    """All dictionaries in `value`, at every depth."""
    if isinstance(value, dict):
        yield value
        value = list(value.values())
    if isinstance(value, list | tuple):
        for inner in value:
            yield from _objects(inner)


def _under(value: Any, key: str) -> Iterator[dict[str, Any]]:
    return (found[key] for found in _objects(value) if isinstance(found.get(key), dict))


def _table(head: tuple[str, ...], rows: Any) -> str:
    lines = [head, ("---",) * len(head), *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
