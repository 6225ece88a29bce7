"""A drawn spec as an emitted PyTorch model, against the reference meaning in float64: all tokens at once, and in steps
where the model steps."""

from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor

from archspec.errors import InputError
from compiler import pipeline
from compiler.emit.torch.file import write_model
from compiler.verify.compare import difference, real_positions
from compiler.verify.interpreter import interpret
from compiler.verify.pack import pack
from compiler.verify.run_torch import load_module
from tests.composition.check import Drawn, first_step

# The model runs in float64; what it computes in float32 on purpose (tables of positions) is not exact.
TOLERANCE = 1e-6
REFUSED = "the torch target cannot write"


@torch.no_grad()
def wrong(drawn: Drawn, folder: Path, names: tuple[str, ...] | None = None) -> str | None:
    """None where the emitted model means what the graph means; else how far it is off, or why it was refused."""
    program, _ = pipeline.run(drawn.program, names)
    try:
        text = write_model(program)
    except InputError as error:
        return error.message
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "model.py").write_text(text, encoding="utf-8")
    save_file(
        {k: v.contiguous().clone() for k, v in pack(program, drawn.params).items()}, folder / "weights.safetensors"
    )
    try:
        return _compared(drawn, load_module(folder / "model.py").load(folder, dtype=torch.float64))
    except Exception as error:  # whatever the package's own code raises: it does not run
        return f"the model does not run: {type(error).__name__}: {error}"


def _compared(drawn: Drawn, model: Any) -> str | None:
    (want,) = interpret(drawn.program, drawn.params, drawn.inputs).values()
    keep = real_positions(drawn.program, drawn.inputs)
    if (gap := difference(model(**drawn.inputs), want, keep).relative) > TOLERANCE:
        return f"the model is off by {gap:.2g}"
    if getattr(model, "refusal", ""):
        return None
    for chunks in ([1] * 7, [3, 1, 2, 1]):
        if chunks[0] < first_step(drawn.inputs):
            continue
        if (gap := difference(_stepped(drawn, model, chunks), want, keep).relative) > TOLERANCE:
            return f"steps of {chunks} are off by {gap:.2g}"
    return None


def _stepped(drawn: Drawn, model: Any, chunks: list[int]) -> Tensor:
    """The outputs of steps over so many tokens each, behind what the sources gave once."""
    shapes, optional = drawn.program.main.inputs, drawn.program.optional
    sources = set(getattr(model, "source_names", ()))
    encoded = [model.encode(**{name: x for name, x in drawn.inputs.items() if name in sources})] if sources else []
    own = [name for name in shapes if name not in sources]
    rows = next(name for name in own if "S" in shapes[name].shape and name not in optional)
    mask = next((name for name in own if optional.get(name) == "ones"), None)
    state, out, start = model.new_state(*drawn.inputs[rows].shape[:2], *encoded), [], 0
    for chunk in chunks:
        given = {name: _part(drawn.inputs[name], shapes[name].shape, start, start + chunk) for name in own}
        logits, state = model.step(given.pop(rows), state, given.pop(mask) if mask else None, **given)
        out.append(logits)
        start += chunk
    return torch.cat(out, 1)


def _part(x: Tensor, shape: tuple[int | str, ...], start: int, end: int) -> Tensor:
    """What a step is given of an input: the rows of its tokens, of pairs (B, S, T) with all keys so far."""
    if len(shape) > 2 and shape[1:3] == ("S", "T"):
        return x[:, start:end, :end]
    return x[:, start:end] if shape[1:2] in (("S",), ("T",)) else x
