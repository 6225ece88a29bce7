"""Runs the model.onnx of an ONNX package with ONNX Runtime on the CPU."""

import importlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from archspec.errors import InputError

TYPES = {"tensor(float)": np.float32, "tensor(float16)": np.float16, "tensor(int64)": np.int64,
         "tensor(int32)": np.int32, "tensor(bool)": np.bool_, "tensor(double)": np.float64}  # fmt: skip


class OnnxPackage:
    """One session; inputs that are not given are filled in: masks of ones, zeros, an empty past."""

    def __init__(self, folder: Path) -> None:
        try:
            self.ort: Any = importlib.import_module("onnxruntime")
        except ImportError:
            raise InputError("needs onnxruntime: install archspec-compiler[cpu]", source=str(folder)) from None
        options = self.ort.SessionOptions()
        options.log_severity_level = 3
        try:
            self.session = self.ort.InferenceSession(
                str(folder / "model.onnx"), options, providers=["CPUExecutionProvider"]
            )
        except Exception as error:  # the runtime has its own exceptions for each kind of broken file
            raise InputError(f"ONNX Runtime cannot open it: {error}", source=str(folder / "model.onnx")) from None

    def forward(self, inputs: Mapping[str, Tensor]) -> Tensor:
        """The first output for all tokens at once."""
        return torch.from_numpy(self._run(inputs, {})["output"].astype(np.float64))

    def stepped(self, inputs: Mapping[str, Tensor], cuts: tuple[int, ...]) -> Tensor:
        """The output put together from steps that end at `cuts`, each given the caches of the one before.

        Row by row: ONNX Runtime's GroupQueryAttention takes several tokens behind a past for a batch of one only.
        """
        rows = range(len(next(iter(inputs.values()))))
        return torch.cat([self._stepped({name: x[i : i + 1] for name, x in inputs.items()}, cuts) for i in rows])

    def _stepped(self, inputs: Mapping[str, Tensor], cuts: tuple[int, ...]) -> Tensor:
        """Inputs over all tokens so far (their second axis is "total") grow from step to step, those over new tokens
        ("length") are cut, others are the same at every step."""
        axes = {given.name: given.shape[1] for given in self.session.get_inputs() if len(given.shape) > 1}
        past: dict[str, np.ndarray] = {}
        start, parts = 0, []
        for stop in (*cuts, next(iter(inputs.values())).shape[1]):
            ends = {"total": slice(stop), "length": slice(start, stop)}
            given = {n: x[:, ends.get(axes[n], slice(None))] for n, x in inputs.items()}
            out = self._run(given, past, start)
            parts.append(torch.from_numpy(out["output"].astype(np.float64)))
            past = {
                k.replace("present.", "past_key_values.").replace("present_state.", "past_state."): v
                for k, v in out.items()
                if k.startswith("present")
            }
            start = stop
        return torch.cat(parts, 1)

    def steps(self, inputs: Mapping[str, Tensor]) -> bool:
        """True if the graph takes caches and these inputs are all that a step takes."""
        given = {x.name: x for x in self.session.get_inputs()}
        caches = any(name.startswith("past_") for name in given)
        return caches and all(len(given[n].shape) > 1 and given[n].shape[1] in ("length", "total") for n in inputs)

    def _masked(self, name: str) -> str:
        """The input whose padding the input `name` tells, "" if it tells none."""
        names = [given.name for given in self.session.get_inputs()]
        pairs = (("attention_mask", "input_ids"), ("_mask", ""))
        return next((o for end, by in pairs if name.endswith(end) and (o := name.removesuffix(end) + by) in names), "")

    def _run(self, inputs: Mapping[str, Tensor], past: Mapping[str, np.ndarray], start: int = 0) -> dict[str, Any]:
        """Outputs by name, the first one as "output" too. start: tokens before these."""
        first = next(iter(inputs.values()))
        batch = len(first)
        feed: dict[str, np.ndarray] = dict(past)
        for declared in self.session.get_inputs():
            kind = TYPES[declared.type]
            if declared.name in inputs:
                feed[declared.name] = inputs[declared.name].numpy().astype(kind)
            elif declared.name.startswith("past_"):
                fixed = (batch if dim == "batch" else dim for dim in declared.shape)
                shape = tuple(0 if isinstance(dim, str) else dim for dim in fixed)  # "past": nothing is there yet
                feed.setdefault(declared.name, np.zeros(shape, kind))
            elif main := self._masked(declared.name):
                feed[declared.name] = np.ones((batch, start + inputs.get(main, first).shape[1]), kind)
            elif len(declared.shape) > 2:  # "empty": as many rows as its own length says, none
                fixed = (dim if isinstance(dim, int) else 0 for dim in declared.shape[1:])
                feed[declared.name] = np.zeros((batch, *fixed), kind)
            else:
                feed[declared.name] = np.zeros(first.shape[:2], kind)
        names = [out.name for out in self.session.get_outputs()]
        found = dict(zip(names, self.session.run(None, feed), strict=True))
        return {**found, "output": found[names[0]]}
