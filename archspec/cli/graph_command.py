"""`archspec graph SPEC -o FILE.svg`: a picture of the graph."""

import importlib
import json
import os
import tempfile
from pathlib import Path
from typing import Annotated

import typer

from archspec.errors import InputError
from archspec.interop.source import open_spec
from archspec.spec import resolve
from compiler import pipeline
from compiler.draw.picture import picture
from compiler.draw.svg import svg
from compiler.lower.program import lower


def command(
    spec: Annotated[str, typer.Argument(metavar="SPEC", help="spec file, zoo name, HF folder or GGUF file")],
    output: Annotated[Path, typer.Option("-o", "--output", metavar="FILE", help="FILE.svg, or FILE.png")] = Path(
        "graph.svg"
    ),
    before: Annotated[bool, typer.Option("--before", help="the graph before the passes")] = False,
    passes: Annotated[str, typer.Option(help="all, none, or names separated by commas")] = "all",
    png: Annotated[bool, typer.Option("--png", help="write PNG whatever the name of the file")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="what was drawn, and each pass's record")] = False,
) -> None:
    """Draw the graph of a spec, after the passes unless told otherwise. Repeated layers are drawn once.

    \b
    archspec graph smollm2-135m -o smollm2.svg
    archspec graph smollm2-135m -o before.png --before
    """
    if output.suffix not in (".svg", ".png"):
        raise InputError(f"found {output.suffix or 'no ending'!r}; allowed: .svg, .png", source=str(output))
    program = lower(resolve(open_spec(spec)))
    names = () if before or passes == "none" else None if passes == "all" else tuple(passes.split(","))
    program, records = pipeline.run(program, names)
    used = [record.name.replace("_", " ") for record in records if record.matched]
    scene = picture(program, f"after {', '.join(used)}" if used else "before any pass")
    as_png = png or output.suffix == ".png"
    try:
        with tempfile.TemporaryDirectory(dir=output.parent, prefix=f".{output.name}.") as folder:
            made = Path(folder) / "picture"
            if as_png:
                importlib.import_module("compiler.draw.png").write_png(scene, made)
            else:
                made.write_text(svg(scene), encoding="utf-8")
            os.replace(made, output)
    except OSError as error:
        raise InputError(f"cannot be written: {error.strerror}", source=str(output)) from None
    nodes = sum(len(graph.nodes) for graph in program.graphs())
    if as_json:
        about = {"file": str(output), "name": program.name, "nodes": nodes}
        about |= {"width": round(scene.width), "height": round(scene.height)}
        typer.echo(json.dumps(about | {"passes": [record.to_json() for record in records]}))
    else:
        typer.echo(f"{output}: {nodes} nodes, {scene.width:.0f} by {scene.height:.0f}")
