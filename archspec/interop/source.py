"""What a SPEC argument means: a spec file, zoo name, Hugging Face folder or config.json, GGUF file, or package."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from archspec import zoo
from archspec.errors import InputError
from archspec.interop import gguf, huggingface
from archspec.interop.gguf_file import GgufFile, is_gguf, read_gguf
from archspec.interop.tensor_map import TensorMap
from archspec.spec import Spec, load_spec
from archspec.spec.load import read_json

PICKLES = (".bin", ".pt", ".pth", ".ckpt", ".pkl", ".pickle")
TRAINING_STATE = ("training_args", "optimizer", "scheduler", "rng_state", "scaler")  # left behind by a trainer


@dataclass(frozen=True)
class Source:
    """What a SPEC argument gives.

    weights: the folder or file to hand to `compiler.weights.open_weights`, if the argument carries weights.
    tensors: how its tensors make our parameters; None if they are stored under our paths (a package).
    tokenizer: the folder or GGUF file that holds a tokenizer.
    """

    text: str
    kind: Literal["spec", "zoo", "huggingface", "gguf", "package"]
    spec: Spec
    weights: Path | None = None
    tensors: TensorMap | None = None
    tokenizer: Path | None = None


def open_spec(text: str | Path) -> Spec:
    """The spec that a SPEC argument names. An existing path wins over a zoo name; `zoo:NAME` forces the zoo."""
    return open_source(text).spec


def open_source(text: str | Path) -> Source:
    """The spec with what comes along: weights, tensor map, tokenizer. InputError for anything that is not a SPEC."""
    text = str(text)
    if text.startswith("zoo:"):
        return _from_zoo(text, text.removeprefix("zoo:"))
    path = _local(text)
    if not path.exists():
        if "/" in text or "\\" in text or path.suffix in (".json", ".gguf", ".safetensors"):
            raise InputError("no such file or folder", source=text)
        return _from_zoo(text, text)
    if path.is_dir():
        return _from_folder(text, path)
    if is_gguf(path) or path.suffix == ".gguf":
        file = read_gguf(path)
        spec = load_spec(gguf.to_spec(file, _gguf_name(file)), text)
        tokenizer = path if "tokenizer.ggml.tokens" in file.metadata else None
        return Source(text, "gguf", spec, path, gguf.tensors(file), tokenizer)
    document = read_json(path)
    if "archspec" in document:
        return Source(text, "spec", load_spec(path))
    if "model_type" in document:
        name = slug(document.get("_name_or_path") or path.resolve().parent.name)
        return Source(text, "huggingface", load_spec(huggingface.import_config(path, name), text))
    raise InputError("neither a spec (it has no field 'archspec') nor a config.json (no 'model_type')", source=text)


def open_weights_source(text: str | Path) -> tuple[Path, TensorMap | None]:
    """What `--weights PATH` means: where the tensors lie, and how they make our parameters (None: under our paths).

    PATH is a GGUF file, a folder with config.json, a package, or a safetensors file or folder with our names.
    """
    path = _local(str(text))
    if not path.exists():
        raise InputError("no such file or folder", source=str(text))
    if path.is_file() and (is_gguf(path) or path.suffix == ".gguf"):
        return path, gguf.tensors(read_gguf(path))
    config = (path if path.is_dir() else path.parent) / "config.json"
    packaged = path.is_dir() and (path / "spec.json").is_file()
    if config.is_file() and not packaged:
        return path, huggingface.tensor_map(read_json(config), str(config))
    return path, None


def open_weights_spec(text: str | Path) -> Spec | None:
    """The spec that stands beside the tensors which `--weights PATH` names; None where nothing says what they are."""
    path = _local(str(text))
    if path.is_file() and not (is_gguf(path) or path.suffix == ".gguf"):
        path = path.with_name("config.json")
        return open_spec(path) if path.is_file() else None
    described = path.is_file() or any((path / name).is_file() for name in ("spec.json", "config.json"))
    return open_spec(path) if described else None


def _local(text: str) -> Path:
    if re.match(r"[A-Za-z][A-Za-z0-9+.-]+://", text):
        raise InputError("URLs are not opened: download the files and name the folder", source=text)
    path = Path(text).expanduser()
    if path.suffix.lower() in PICKLES:
        raise InputError(
            f"{path.suffix} files are pickles, which can run code when opened; use safetensors or GGUF", source=text
        )
    return path


def _from_folder(text: str, path: Path) -> Source:
    weights = path if any(map(_holds_weights, path.iterdir())) else None
    if (path / "spec.json").is_file():
        return Source(text, "package", load_spec(path / "spec.json"), weights, None, _tokenizer(path))
    config = path / "config.json"
    if not config.is_file():
        raise InputError("the folder has neither config.json nor spec.json", source=text)
    document: dict[str, Any] = read_json(config)
    spec = load_spec(
        huggingface.import_config(config, slug(document.get("_name_or_path") or path.resolve().name)), str(config)
    )
    return Source(text, "huggingface", spec, weights, huggingface.tensor_map(document, str(config)), _tokenizer(path))


def _holds_weights(file: Path) -> bool:
    """An index counts, so that the files it names are missed; pickled weights too: whoever wants to load them is told
    why they are refused."""
    return file.name.endswith((".safetensors", ".safetensors.index.json")) or (
        file.suffix in PICKLES and file.stem not in TRAINING_STATE
    )


def _gguf_name(file: GgufFile) -> str:
    """The name and size of the model where the file has them."""
    name, size = file.metadata.get("general.basename"), file.metadata.get("general.size_label")
    return slug(f"{name}-{size}" if name and size else name or file.path.stem)


def _tokenizer(path: Path) -> Path | None:
    names = ("tokenizer.json", "tokenizer.model", "vocab.txt", "vocab.json")
    return path if any((path / name).is_file() for name in names) else None


def _from_zoo(text: str, name: str) -> Source:
    if name not in zoo.names():
        near = zoo.nearest(name)
        hint = f"; did you mean {' or '.join(near)}?" if near else ""
        raise InputError(f"neither an existing path nor a name in the zoo{hint} (archspec zoo lists them)", source=text)
    return Source(text, "zoo", load_spec(zoo.read(name), f"zoo:{name}"))


def slug(name: object) -> str:
    """A name as the zoo writes them: the last part of a path, lower case, hyphens."""
    return re.sub(r"[^a-z0-9.]+", "-", str(name).rstrip("/").rpartition("/")[2].lower()).strip("-.") or "model"
