"""A package as a running model: its model.py imported, its tokenizer, text in and out. Imports torch."""

import importlib
import importlib.util
import json
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import torch
from safetensors import SafetensorError
from tokenizers import Tokenizer

from archspec.errors import InputError
from archspec.interop.source import Source, open_source
from compiler.emit.compile import DEVICES, Options, compile_spec
from compiler.weights.source import open_weights

CUDA = "--device cuda"


@dataclass(frozen=True)
class Generation:
    """How to choose tokens: greedy at temperature 0."""

    tokens: int = 64
    seed: int | None = None
    temperature: float = 0.0
    top_p: float = 1.0


class Talking:
    """Text in and out of a package. `tokenizer` is None where the package has none."""

    end_ids: tuple[int, ...] = ()

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        tokenizer = folder / "tokenizer.json"
        try:
            self.tokenizer = Tokenizer.from_file(str(tokenizer)) if tokenizer.is_file() else None
        except Exception as error:  # the library raises no narrower type
            raise InputError(f"is no tokenizer: {error}", source=str(tokenizer)) from None

    def stream(self, ids: Sequence[int], how: Generation) -> Iterator[int]:
        """New ids, one at a time."""
        raise NotImplementedError

    def encode(self, prompt: str) -> list[int]:
        if self.tokenizer is None:
            raise InputError("the package has no tokenizer.json; give token ids with --ids", source=str(self.folder))
        ids: list[int] = self.tokenizer.encode(prompt).ids
        if not ids:
            raise InputError("an empty prompt: there is nothing to go on from", source="--prompt")
        return ids

    def text(self, ids: Sequence[int], how: Generation) -> Iterator[str]:
        """New text, piece by piece: a piece ends where the bytes so far are whole characters."""
        assert self.tokenizer is not None
        made: list[int] = []
        shown = ""
        ends = set(self.end_ids)
        for chosen in self.stream(ids, how):
            if chosen in ends:
                break
            made.append(chosen)
            whole = self.tokenizer.decode(made)
            if not whole.endswith("\ufffd") and len(whole) > len(shown):
                yield whole[len(shown) :]
                shown = whole


class Running(Talking):
    """A loaded torch package."""

    def __init__(self, folder: Path, device: str = "cpu", compile: bool = False) -> None:
        check_device(device)
        super().__init__(folder)
        file = folder / "model.py"
        if not file.is_file():
            raise InputError("not a torch package: it has no model.py", source=str(folder))
        try:
            self.model: Any = module(file).load(folder, device=device, compile=compile)
        except FileNotFoundError as error:
            raise InputError(str(error), source=str(folder)) from None
        except (SafetensorError, RuntimeError, ValueError, KeyError) as error:
            open_weights(folder)  # names the file that is damaged
            raise InputError(f"cannot be loaded: {error}", source=str(folder)) from error
        self.device = device
        self.end_ids = tuple(getattr(self.model, "end_ids", ()))

    def stream(self, ids: Sequence[int], how: Generation) -> Iterator[int]:
        """New ids, one at a time."""
        try:
            new = self.model.stream(
                torch.tensor([list(ids)], device=self.device), how.tokens,
                temperature=how.temperature, top_p=how.top_p, seed=how.seed,
            )  # fmt: skip
            for chosen in new:
                yield int(chosen)
        except (RuntimeError, ValueError) as error:
            raise InputError(str(error), source=str(self.folder)) from error


def check_device(device: str) -> None:
    """InputError unless PyTorch can run on `device` here."""
    _check_known(device)
    if device == "cuda" and not torch.cuda.is_available():
        raise InputError("this machine has no CUDA device that PyTorch can use", source=CUDA)


def _check_known(device: str) -> None:
    if device not in DEVICES:
        raise InputError(f"found {device!r}; allowed: {', '.join(DEVICES)}", source="--device")


def module(file: Path) -> ModuleType:
    """The package's model.py, imported under a name of its own."""
    spec = importlib.util.spec_from_file_location(f"archspec_package_{abs(hash(file.resolve()))}", file)
    assert spec is not None and spec.loader is not None
    loaded = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = loaded
    spec.loader.exec_module(loaded)
    return loaded


class RunningOnnx(Talking):
    """An ONNX package made with `--runtime genai`, run by onnxruntime-genai."""

    def __init__(self, folder: Path, device: str = "cpu") -> None:
        super().__init__(folder)
        try:
            self.genai: Any = importlib.import_module("onnxruntime_genai")
        except ImportError:
            raise InputError("needs onnxruntime-genai: install the extra [cpu] or [gpu]", source=str(folder)) from None
        _check_known(device)
        declared = json.loads((folder / "genai_config.json").read_text(encoding="utf-8"))["model"]
        if device == "cuda":
            if not self.genai.is_cuda_available():
                raise InputError("this machine has no CUDA device that onnxruntime-genai can use", source=CUDA)
            if not any("cuda" in one for one in declared["decoder"]["session_options"]["provider_options"]):
                raise InputError(f"{folder} was compiled for the CPU; compile it with --device cuda", source=CUDA)
        try:
            self.model = self.genai.Model(str(folder))
        except RuntimeError as error:
            raise InputError(f"onnxruntime-genai cannot load it: {error}", source=str(folder)) from None
        ends = declared.get("eos_token_id", ())
        self.end_ids = (ends,) if isinstance(ends, int) else tuple(ends)

    def stream(self, ids: Sequence[int], how: Generation) -> Iterator[int]:
        settings = self.genai.GeneratorParams(self.model)
        chosen: dict[str, Any] = {"max_length": len(ids) + how.tokens, "do_sample": how.temperature > 0}
        if how.temperature > 0:
            chosen |= {"temperature": how.temperature, "top_p": how.top_p}
            chosen |= {} if how.seed is None else {"random_seed": how.seed}
        settings.set_search_options(**chosen)
        generator = self.genai.Generator(self.model, settings)
        generator.append_tokens(list(ids))
        for _ in range(how.tokens):
            if generator.is_done():
                return
            generator.generate_next_token()
            yield int(generator.get_next_tokens()[0])


def open_running(text: str, device: str = "cpu", dtype: str | None = None, compile: bool = False) -> Talking:
    """A package folder, or any SPEC that carries weights: that is compiled into a temporary folder first."""
    folder = Path(text)
    if (folder / "model.py").is_file():
        return Running(folder, device, compile)
    if (folder / "genai_config.json").is_file():
        return RunningOnnx(folder, device)
    if (folder / "model.onnx").is_file():
        raise InputError("an ONNX package generates when compiled with --runtime genai", source=text)
    source: Source = open_source(text)
    check_device(device)
    if source.weights is None:
        raise InputError("carries no weights; compile it with --weights PATH or --init SEED first", source=text)
    with tempfile.TemporaryDirectory() as place:
        made = compile_spec(source, Path(place) / "package", Options(device=device, dtype=dtype, probe=False))
        return Running(made.folder, device, compile)
