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
        rows = range(len(inputs["input_ids"]))
        return torch.cat([self._stepped({name: x[i : i + 1] for name, x in inputs.items()}, cuts) for i in rows])

    def _stepped(self, inputs: Mapping[str, Tensor], cuts: tuple[int, ...]) -> Tensor:
        ids, mask = inputs["input_ids"], inputs.get("attention_mask")
        past: dict[str, np.ndarray] = {}
        start, parts = 0, []
        for stop in (*cuts, ids.shape[1]):
            given = {"input_ids": ids[:, start:stop]}
            if mask is not None:
                given["attention_mask"] = mask[:, :stop]
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
        caches = any(given.name.startswith("past_") for given in self.session.get_inputs())
        return caches and set(inputs) <= {"input_ids", "attention_mask"}

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
                shape = tuple({"batch": batch, "past": 0}.get(dim, dim) for dim in declared.shape)
                feed.setdefault(declared.name, np.zeros(shape, kind))
            elif declared.name.endswith("attention_mask"):
                ids = declared.name.replace("attention_mask", "input_ids")
                feed[declared.name] = np.ones((batch, start + inputs.get(ids, first).shape[1]), kind)
            else:
                feed[declared.name] = np.zeros(first.shape[:2], kind)
        names = [out.name for out in self.session.get_outputs()]
        found = dict(zip(names, self.session.run(None, feed), strict=True))
        return {**found, "output": found[names[0]]}
