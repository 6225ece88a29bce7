"""Runs an ONNX package with ONNX Runtime on the CPU: its model.onnx, or encoder.onnx and decoder.onnx in steps."""

import importlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from archspec.errors import InputError
from compiler.emit.onnx.model import MODEL_FILE
from compiler.emit.onnx.stacks import DECODER_FILE, ENCODER_FILE

TYPES = {"tensor(float)": np.float32, "tensor(float16)": np.float16, "tensor(int64)": np.int64,
         "tensor(int32)": np.int32, "tensor(bool)": np.bool_, "tensor(double)": np.float64}  # fmt: skip


class OnnxPackage:
    """One session, and two more where source stacks stand apart for steps. Inputs that are not given are filled in:
    masks of ones, zeros, an empty past."""

    def __init__(self, folder: Path) -> None:
        self.session = _opened(folder / MODEL_FILE)
        self.apart: tuple[Any, Any] | None = None
        if (folder / DECODER_FILE).is_file():
            self.apart = _opened(folder / ENCODER_FILE), _opened(folder / DECODER_FILE)

    def forward(self, inputs: Mapping[str, Tensor]) -> Tensor:
        """The first output for all tokens at once."""
        return torch.from_numpy(_run(self.session, inputs, {})["output"].astype(np.float64))

    def stepped(self, inputs: Mapping[str, Tensor], cuts: tuple[int, ...]) -> Tensor:
        """The output put together from steps that end at `cuts`, each given the caches of the one before.

        Row by row: ONNX Runtime's GroupQueryAttention takes several tokens behind a past for a batch of one only.
        """
        rows = range(len(next(iter(inputs.values()))))
        return torch.cat([self._stepped({name: x[i : i + 1] for name, x in inputs.items()}, cuts) for i in rows])

    def _stepped(self, inputs: Mapping[str, Tensor], cuts: tuple[int, ...]) -> Tensor:
        """Axes of inputs over all tokens so far ("total") grow from step to step, those over new tokens ("length") are
        cut, others are the same at every step."""
        session, fixed = self.session, dict[str, np.ndarray]()
        if self.apart is not None:
            encoder, session = self.apart
            sources = {given.name for given in encoder.get_inputs()}
            feed = _feed(encoder, {name: x for name, x in inputs.items() if name in sources}, {})
            fixed = feed | _named(encoder, feed)
        axes = {given.name: given.shape[1:] for given in session.get_inputs() if len(given.shape) > 1}
        inputs = {name: x for name, x in inputs.items() if name in axes and name not in fixed}
        past = {name: x for name, x in fixed.items() if name in axes}
        start, parts = 0, []
        length = next(x.shape[1] for name, x in inputs.items() if axes[name][0] == "length")
        for stop in (*cuts, length):
            ends = {"total": slice(stop), "length": slice(start, stop)}
            given = {n: x[:, *(ends.get(axis, slice(None)) for axis in axes[n])] for n, x in inputs.items()}
            out = _run(session, given, past, start)
            parts.append(torch.from_numpy(out["output"].astype(np.float64)))
            past |= {
                k.replace("present.", "past_key_values.").replace("present_state.", "past_state."): v
                for k, v in out.items()
                if k.startswith("present")
            }
            start = stop
        return torch.cat(parts, 1)

    def steps(self, inputs: Mapping[str, Tensor]) -> bool:
        """True if there is a graph that takes caches and these inputs are all that a step takes: of its tokens, or the
        rows of a source, the same at every step."""
        session, once = (self.apart[1], self.apart[0].get_inputs()) if self.apart else (self.session, [])
        given = {x.name: x for x in session.get_inputs()}
        caches = any(name.startswith("past_") for name in given)
        own = inputs.keys() - {x.name for x in once}
        axes = [str(given[name].shape[1]) if len(given[name].shape) > 1 else "" for name in own]
        return caches and all(axis in ("length", "total") or axis.startswith("length_") for axis in axes)


def _opened(path: Path) -> Any:
    try:
        ort: Any = importlib.import_module("onnxruntime")
    except ImportError:
        raise InputError("needs onnxruntime: install archspec-compiler[cpu]", source=str(path.parent)) from None
    options = ort.SessionOptions()
    options.log_severity_level = 3
    try:
        return ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    except Exception as error:  # the runtime has its own exceptions for each kind of broken file
        raise InputError(f"ONNX Runtime cannot open it: {error}", source=str(path)) from None


def _masked(session: Any, name: str) -> str:
    """The input whose padding the input `name` tells, "" if it tells none."""
    names = [given.name for given in session.get_inputs()]
    pairs = (("attention_mask", "input_ids"), ("_mask", ""))
    return next((o for end, by in pairs if name.endswith(end) and (o := name.removesuffix(end) + by) in names), "")


def _run(
    session: Any, inputs: Mapping[str, Tensor], past: Mapping[str, np.ndarray], start: int = 0
) -> dict[str, np.ndarray]:
    """Outputs by name, the first one as "output" too. start: tokens before these."""
    found = _named(session, _feed(session, inputs, past, start))
    return {**found, "output": next(iter(found.values()))}


def _named(session: Any, feed: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    return dict(zip([out.name for out in session.get_outputs()], session.run(None, feed), strict=True))


def _feed(
    session: Any, inputs: Mapping[str, Tensor], past: Mapping[str, np.ndarray], start: int = 0
) -> dict[str, np.ndarray]:
    """Every input of the graph."""
    first = next(iter(inputs.values()))
    batch = len(first)
    feed: dict[str, np.ndarray] = dict(past)
    for declared in session.get_inputs():
        kind = TYPES[declared.type]
        if declared.name in inputs:
            feed[declared.name] = inputs[declared.name].numpy().astype(kind)
        elif declared.name in feed:
            continue
        elif declared.name.startswith("past_"):
            fixed = (batch if dim == "batch" else dim for dim in declared.shape)
            shape = tuple(0 if isinstance(dim, str) else dim for dim in fixed)  # "past": nothing is there yet
            feed[declared.name] = np.zeros(shape, kind)
        elif main := _masked(session, declared.name):
            before = start if declared.shape[1] == "total" else 0
            feed[declared.name] = np.ones((batch, before + inputs.get(main, first).shape[1]), kind)
        elif len(declared.shape) > 2:  # "empty": as many rows as its own length says, none
            fixed = (dim if isinstance(dim, int) else 0 for dim in declared.shape[1:])
            feed[declared.name] = np.zeros((batch, *fixed), kind)
        else:
            feed[declared.name] = np.zeros(first.shape[:2], kind)
    return feed
