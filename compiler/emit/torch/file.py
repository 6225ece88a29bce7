"""The whole file: constants, helpers, layers, model, load. Formatted, readable, importing torch only."""

import re
from collections.abc import Sequence

from archspec.errors import InputError
from compiler.emit.torch.layer import check_paths
from compiler.emit.torch.layout import wrap
from compiler.emit.torch.model import ModelWriter
from compiler.emit.torch.names import comment, quoted
from compiler.emit.torch.source import closure
from compiler.emit.torch.writer import RUNTIME, File
from compiler.ir.program import Program

MODULES = tuple(
    f"{RUNTIME}.{name}" for name in ("base", "state", "translating", "weights", "attention", "positions", "scan")
)


def write_model(program: Program, end_ids: Sequence[int] = ()) -> str:
    """Text of `model.py` for a checked program. InputError names what the torch target cannot say.

    end_ids: generation stops at these.
    """
    file = File(program)
    try:
        check_paths(program)
        model = ModelWriter(file)
        classes = [layer.text() for layer in dict.fromkeys(model.layers.values())] + [model.text()]
    except NotImplementedError as error:
        raise InputError(f"the torch target cannot write {error} yet", source=program.name) from error
    for name in ("declare", "randomise", "read_weights"):
        file.helper(name, f"{RUNTIME}.weights")
    pieces = [piece.text for piece in closure(list(file.helpers), MODULES)]
    head = [
        f"NAME = {quoted(program.name)}",
        f"VOCAB_SIZE = {program.meta.get('vocab_size')!r}",
        f"MAX_LENGTH = {program.meta.get('max_length')!r}",
        *([f"END_IDS: tuple[int, ...] = {tuple(end_ids)!r}"] if model.steps else []),
        *(f"{name} = {expression}" for name, expression in file.constants.items()),
    ]
    functions = [text for _, text in file.functions.values()]
    classes = ["\n".join(short for line in text.split("\n") for short in wrap(line)) for text in classes]
    body = "\n\n\n".join([*pieces, *functions, *classes, LOAD, MAIN])
    start = [_docstring(program), _imports(body), "\n".join(head)]
    return "\n\n".join(start) + f"\n\n\n{body}\n"


def _docstring(program: Program) -> str:
    return f'''"""{comment(program.name)} in PyTorch, written by archspec. Edit freely: nothing reads it back.

    model = load()                                     # the weights beside this file
    logits = model(input_ids)                          # (B, S, ...)

B batch, S new tokens, T all tokens so far, K keys looked at, H heads, G key/value heads, D head size.
"""

from __future__ import annotations'''


def _imports(text: str) -> str:
    """The imports that `text` needs."""
    used = set(re.findall(r"[A-Za-z_]\w*", text))
    abstract = ", ".join(name for name in ("Callable", "Iterator", "Sequence") if name in used)
    lines = [
        *(f"import {name}" for name in ("json", "math", "weakref") if name in used),
        *([f"from collections.abc import {abstract}"] if abstract else []),
        *(["from functools import partial"] if "partial" in used else []),
        "from pathlib import Path",
        *(["from typing import Any"] if "Any" in used else []),
        "",
        "import torch",
        "import torch.nn.functional as F",
        "from torch import Tensor, nn",
    ]
    return "\n".join(lines)


LOAD = '''def load(
    path: str | Path | None = None, device: str = "cpu", dtype: torch.dtype | None = None, compile: bool = False
) -> Model:
    """The model with the weights in folder `path` (that of this file), ready to run.

    dtype: another type than the stored one. compile: let torch.compile build each kind of layer (needs a C++ compiler).
    """
    tensors = read_weights(Path(path or Path(__file__).parent), device, dtype)
    with torch.device("meta"):
        model = Model()
    model.load_state_dict(tensors, strict=True, assign=True)
    model.requires_grad_(False).to(device).eval()
    if compile:
        model.compile_layers()
    return model'''


MAIN = '''def main() -> None:
    """Build the model, with its weights if they are here, and run one step on random ids."""
    here = Path(__file__).parent
    found = (here / "weights.safetensors").exists() or (here / "weights.safetensors.index.json").exists()
    model = load() if found else randomise(Model().eval())
    print(model.demonstrate())


if __name__ == "__main__":
    main()'''
