"""The front door: one file per command, imported only when that command is asked for; so each starts fast."""

import gc
import importlib
import sys
from collections.abc import Sequence
from difflib import get_close_matches

import typer

from archspec.errors import InputError, NoAnswer
from archspec.version import VERSION

# The order of the road: declared, checked, costed, compiled, run, searched, queried.
COMMANDS = {
    "zoo": "list the named specs, or print one",
    "validate": "check specs; errors name file and JSON path",
    "fmt": "rewrite a spec in canonical layout",
    "diff": "differences between two specs, by path",
    "schema": "JSON Schema for editors",
    "show": "parameters, FLOPs, memory and speed of a spec",
    "advise": "which architecture to start from, with reasons and computed numbers",
    "import": "a Hugging Face config.json or GGUF file becomes a spec",
    "export": "a spec becomes a Hugging Face config.json",
    "compile": "write a PyTorch or ONNX package",
    "run": "generate text from a package or spec",
    "verify": "check a package against the reference meaning",
    "bench": "measure prefill and decode speed of a package here",
    "graph": "a picture of the graph",
    "search": "search architectures under a memory budget",
    "pareto": "the Pareto front of one study or of all",
    "query": "read-only SQL on the store",
    "doctor": "what this machine can do",
}


def main(arguments: Sequence[str] | None = None) -> None:
    """Console script. Exit 0: ok; 1: the answer is "no"; 2: bad input, one message on stderr."""
    name, *rest = (sys.argv[1:] if arguments is None else arguments) or ["--help"]
    if name in ("--help", "-h", "help"):
        print(overview())
        return
    if name == "--version":
        print(f"archspec {VERSION}")
        return
    gc.set_threshold(100_000)  # importing makes many objects that all stay: looking for garbage among them takes 0.05 s
    try:
        application(name)(args=list(rest), prog_name=f"archspec {name}")
    except (InputError, NoAnswer) as error:
        print(f"archspec: {error}", file=sys.stderr)
        sys.exit(1 if isinstance(error, NoAnswer) else 2)


def application(name: str) -> typer.Typer:
    """The command of module `archspec.cli.<name>_command` as an application of its own."""
    if name not in COMMANDS:
        near = get_close_matches(name, COMMANDS, 1)
        hint = f", did you mean {near[0]!r}?" if near else "; archspec --help lists them"
        raise InputError(f"no command {name!r}{hint}")
    module = importlib.import_module(f"archspec.cli.{name}_command")
    single = typer.Typer(add_completion=False, rich_markup_mode="rich", pretty_exceptions_enable=False)
    single.command(name=name)(module.command)
    return single


def overview() -> str:
    """All commands, a line each, without importing any."""
    width = max(map(len, COMMANDS))
    lines = [
        "Usage: archspec COMMAND [ARGS]...   (archspec COMMAND --help shows examples)",
        "",
        "One description of a language-model architecture, validated, costed, compiled, run, searched, stored.",
        "",
        *(f"  {name:<{width}}  {text}" for name, text in COMMANDS.items()),
    ]
    return "\n".join(lines)


if __name__ == "__main__":
    main()
