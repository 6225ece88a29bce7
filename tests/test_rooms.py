"""Names of models live in zoo/ and interop/ only: elsewhere no identifier and no string of the code holds one.

Docstrings and comments may: they cite papers and implementations. The commands' help shows zoo names as examples.
"""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parent.parent
LANGUAGE = {"llama3", "Llama3Scaling"}  # a word of the spec language: one of its rotary scalings
FAMILIES = [
    "albert",
    "bart",
    "bert",
    "bigbird",
    "bloom",
    "chatglm",
    "deepseek",
    "electra",
    "falcon",
    "flamingo",
    "funnel",
    "gemma",
    "glam",
    "glm",
    "gopher",
    "gpt",
    "hyena",
    "idefics",
    "jamba",
    "linformer",
    "llama",
    "longformer",
    "mamba",
    "marian",
    "minimax",
    "mistral",
    "mixtral",
    "moba",
    "mpt",
    "opt",
    "palm",
    "performer",
    "phi",
    "pythia",
    "qformer",
    "qwen",
    "reformer",
    "retnet",
    "roberta",
    "roformer",
    "rwkv",
    "smollm",
    "switch",
    "xlnet",
    "yi",
]
NAMED = re.compile(rf"(?<![a-z])({'|'.join(FAMILIES)})(?![a-z])", re.I)


def sources() -> Iterator[Path]:
    for room in ("archspec/spec", "compiler", "search", "store"):
        yield from sorted((ROOT / room).rglob("*.py"))


def words(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """Identifiers and strings of the code, docstrings left out, with their lines."""
    docs = {
        id(node.body[0].value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef)
        and node.body
        and isinstance(node.body[0], ast.Expr)
    }
    for node in ast.walk(tree):
        match node:
            case ast.Constant(value=str() as text) if id(node) not in docs:
                yield node.lineno, text
            case ast.Name(id=text) | ast.Attribute(attr=text) | ast.arg(arg=text):
                yield node.lineno, text
            case ast.FunctionDef(name=text) | ast.ClassDef(name=text):
                yield node.lineno, text


def test_no_branch_on_a_models_name() -> None:
    found = [
        f"{path.relative_to(ROOT)}:{line}: {text[:60]}"
        for path in sources()
        for line, text in words(ast.parse(path.read_text()))
        if NAMED.search(text) and text.lstrip("_") not in LANGUAGE
    ]
    assert not found, "\n".join(found)


def test_it_would_be_found() -> None:
    assert [text for _, text in words(ast.parse("if name == 'llama': use_gpt2()")) if NAMED.search(text)] == [
        "llama",
        "use_gpt2",
    ]
    assert not NAMED.search("option") and not NAMED.search("optional")
