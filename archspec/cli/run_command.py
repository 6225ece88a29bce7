"""`archspec run DIR|SPEC`: generate, streaming."""

import json
import time
from typing import Annotated

import typer

from archspec.errors import InputError
from archspec.running import Generation, open_running


def command(
    source: Annotated[str, typer.Argument(metavar="DIR|SPEC", help="a package, or a SPEC that carries weights")],
    prompt: Annotated[str | None, typer.Option(help="text to go on from")] = None,
    ids: Annotated[str | None, typer.Option(help="token ids instead, separated by commas")] = None,
    tokens: Annotated[int, typer.Option(help="new tokens at most")] = 64,
    seed: Annotated[int | None, typer.Option(help="of the draws")] = None,
    temperature: Annotated[float, typer.Option(help="0: always the likeliest token")] = 0.0,
    top_p: Annotated[float, typer.Option(help="draw from the likeliest tokens that make up this share")] = 1.0,
    device: Annotated[str, typer.Option(help="cpu or cuda")] = "cpu",
    as_json: Annotated[bool, typer.Option("--json", help="one object at the end instead of a stream")] = False,
) -> None:
    """Generate text with a package, token by token, with the tokenizer that is packaged beside the weights.

    \b
    archspec run out --prompt "The capital of France is" --tokens 20
    archspec run model.gguf --prompt "Once" --temperature 0.8 --top-p 0.9 --seed 1
    """
    if (prompt is None) == (ids is None):
        raise InputError("give --prompt TEXT or --ids 1,2,3", source="run")
    if tokens < 1 or temperature < 0 or not 0 < top_p <= 1:
        raise InputError("allowed: --tokens from 1, --temperature from 0, --top-p above 0 up to 1", source="run")
    running = open_running(source, device)
    start = _ids(ids) if ids is not None else running.encode(prompt or "")
    how = Generation(tokens, seed, temperature, top_p)
    began = time.perf_counter()
    if ids is not None or running.tokenizer is None:
        new = list(running.stream(start, how))
        typer.echo(json.dumps({"ids": new}) if as_json else ",".join(map(str, new)))
        return
    pieces = []
    for piece in running.text(start, how):
        pieces.append(piece)
        if not as_json:
            typer.echo(piece, nl=False)
    seconds = time.perf_counter() - began
    if as_json:
        typer.echo(json.dumps({"prompt": prompt, "text": "".join(pieces), "seconds": round(seconds, 3)}))
    else:
        typer.echo()


def _ids(text: str) -> list[int]:
    try:
        found = [int(part) for part in text.replace(" ", ",").split(",") if part]
    except ValueError:
        raise InputError(f"found {text!r}, whole numbers separated by commas are needed", source="--ids") from None
    if not found:
        raise InputError("names no id", source="--ids")
    return found
