"""The front door: one file per command, loaded only when that command is asked for, so that every command starts fast."""

import importlib
import sys

import click
import typer
from typer.core import TyperGroup
from typer.main import get_command as typer_command

from archspec.errors import InputError, NoAnswer

# The order of the road: declared, checked, costed, compiled, run, searched, queried.
COMMANDS = {
    "zoo": "list the named specs, or print one",
    "validate": "check specs; errors name file and JSON path",
    "fmt": "rewrite a spec in canonical layout",
    "diff": "differences between two specs, by path",
    "schema": "JSON Schema for editors",
    "show": "parameters, FLOPs, memory and speed of a spec",
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


class LazyGroup(TyperGroup):
    """Commands by name; the module `archspec.cli.<name>_command` is imported when its command runs."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        module = importlib.import_module(f"archspec.cli.{cmd_name}_command")
        single = typer.Typer(add_completion=False, rich_markup_mode="rich")
        single.command(name=cmd_name)(module.command)
        command = typer_command(single)
        command.name = cmd_name
        return command

    def format_help(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        width = max(map(len, COMMANDS))
        click.echo("Usage: archspec COMMAND [ARGS]...   (archspec COMMAND --help shows examples)\n")
        click.echo("One description of a language-model architecture, validated, costed, compiled, run, searched, stored.\n")
        for name, text in COMMANDS.items():
            click.echo(f"  {name:<{width}}  {text}")


app = typer.Typer(cls=LazyGroup, add_completion=False, no_args_is_help=True)


@app.callback()
def _root() -> None:
    """One description of a language-model architecture."""


def main() -> None:
    """Console script. Exit 0: ok; 1: the answer is "no"; 2: bad input, one message on stderr."""
    try:
        app()
    except InputError as error:
        print(f"archspec: {error}", file=sys.stderr)
        sys.exit(2)
    except NoAnswer as error:
        print(f"archspec: {error}", file=sys.stderr)
        sys.exit(1)


if __name__ == "__main__":
    main()
