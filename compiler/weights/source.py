"""Where tensors are read from: safetensors files and folders, and GGUF. Nothing is loaded before it is asked for."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Protocol

import torch
from safetensors import SafetensorError, safe_open

from archspec.errors import InputError
from archspec.interop.gguf_file import is_gguf
from archspec.interop.source import PICKLES
from compiler.weights.gguf_source import GgufSource

# Names that whole models and packages are stored under, the first that exists wins.
INDEXES = ("weights.safetensors.index.json", "model.safetensors.index.json")
SINGLES = ("weights.safetensors", "model.safetensors")


class TensorSource(Protocol):
    """Stored tensors by name. `read` gives a tensor of its own (dequantised where it was quantised)."""

    path: Path

    def shapes(self) -> Mapping[str, tuple[int, ...]]:
        """Every stored name with its shape, from headers only."""
        ...

    def read(self, name: str) -> torch.Tensor: ...


class SafetensorsFiles:
    """One safetensors file, or several that are one model."""

    def __init__(self, path: Path, files: list[Path]) -> None:
        self.path = path
        self._home: dict[str, Path] = {}
        self._shapes: dict[str, tuple[int, ...]] = {}
        for file in files:
            for name, shape in _header(file):
                if name in self._home:
                    raise InputError(
                        f"tensor {name} is stored twice, in {self._home[name].name} and {file.name}", source=str(path)
                    )
                self._home[name], self._shapes[name] = file, shape

    def shapes(self) -> Mapping[str, tuple[int, ...]]:
        return self._shapes

    def read(self, name: str) -> torch.Tensor:
        # Opened for each tensor: mapped pages are given back at once, so the peak is one tensor and not the file.
        with safe_open(self._home[name], framework="pt") as file:
            return file.get_tensor(name)


def _header(file: Path) -> Iterator[tuple[str, tuple[int, ...]]]:
    try:
        with safe_open(file, framework="pt") as opened:
            for name in opened.keys():  # noqa: SIM118 - safe_open is not a mapping
                yield name, tuple(opened.get_slice(name).get_shape())
    except (SafetensorError, OSError, ValueError) as error:
        raise InputError(f"not a complete safetensors file: {error}", source=str(file)) from None


def open_weights(path: Path | str) -> TensorSource:
    """The tensors at `path`: a GGUF or safetensors file, or the folder of one model; InputError if it has none."""
    path = Path(path)
    if path.suffix.lower() in PICKLES:
        raise InputError("pickled weights can run code when opened; use safetensors or GGUF", source=str(path))
    if not path.exists():
        raise InputError("no such file or folder", source=str(path))
    if path.is_dir():
        return SafetensorsFiles(path, _files_of(path))
    if path.suffix == ".gguf" or is_gguf(path):
        return GgufSource(path)
    if path.name.endswith(".index.json"):
        return SafetensorsFiles(path, _indexed(path))
    return SafetensorsFiles(path, [path])


def _files_of(folder: Path) -> list[Path]:
    for name in INDEXES:
        if (folder / name).is_file():
            return _indexed(folder / name)
    for name in SINGLES:
        if (folder / name).is_file():
            return [folder / name]
    files = sorted(folder.glob("*.safetensors"))
    if len(files) == 1:
        return files
    if files:
        raise InputError(
            "several safetensors files and no index that says which belong to the model", source=str(folder)
        )
    pickles = sorted(file.name for file in folder.iterdir() if file.suffix in PICKLES)
    if pickles:
        raise InputError(
            f"only pickled weights ({pickles[0]}), which can run code when opened; convert them to safetensors",
            source=str(folder),
        )
    raise InputError("no weights: neither a safetensors file nor an index", source=str(folder))


def _indexed(index: Path) -> list[Path]:
    """The files that an index names, all of them beside it."""
    try:
        names = json.loads(index.read_text(encoding="utf-8"))["weight_map"].values()
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise InputError(f"not a safetensors index: {error!r}", source=str(index)) from None
    files = []
    for name in dict.fromkeys(names):
        # A path would let a downloaded folder read files elsewhere on the machine.
        if not isinstance(name, str) or Path(name).name != name or name in ("", ".", ".."):
            raise InputError(
                f"{name!r} is not the name of a file in the same folder", source=str(index), path="/weight_map"
            )
        file = index.parent / name
        if file.suffix != ".safetensors":
            raise InputError(f"{name!r} is not a safetensors file", source=str(index), path="/weight_map")
        if not file.is_file():
            raise InputError(f"the file {name} is missing", source=str(index), path="/weight_map")
        files.append(file)
    return files
