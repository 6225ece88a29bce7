"""What Python users call: the same as the commands. Imports no torch; compiling with weights does."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from archspec.errors import InputError
from archspec.interop.source import Source, open_source, open_spec
from archspec.spec import Spec, load_spec
from compiler.emit.compile import Compiled, Options, Progress, compile_spec


def load(spec: str | Path | dict[str, Any]) -> Spec:
    """The spec that a SPEC names (file, zoo name, HF folder, GGUF, package), or that a dictionary is.

    InputError says what is wrong and where.
    """
    return load_spec(spec) if isinstance(spec, dict) else open_spec(spec)


def compile(
    spec: str | Path | dict[str, Any] | Spec,
    folder: str | Path,
    *,
    target: str = "torch",
    device: str = "cpu",
    dtype: str | None = None,
    weights: str | Path | None = None,
    init: int | None = None,
    passes: Sequence[str] | None = None,
    runtime: str = "ort",
    progress: Progress | None = None,
) -> Compiled:
    """Write a package into the new folder `folder`, as `archspec compile` does.

    spec: a SPEC, a dictionary, or a loaded spec. weights, init: where tensors come from; neither: those that SPEC
    carries, or none. passes: names in any order, () for none, None for all. InputError before anything is written.
    """
    options = Options(
        target, device, dtype, None if weights is None else str(weights), init,
        None if passes is None else tuple(passes), runtime,
    )  # fmt: skip
    return compile_spec(_source(spec), Path(folder), options, progress)


def _source(spec: str | Path | dict[str, Any] | Spec) -> Source:
    if isinstance(spec, Spec):
        return Source(spec.name or "spec", "spec", spec)
    if isinstance(spec, dict):
        loaded = load_spec(spec)
        return Source(loaded.name or "spec", "spec", loaded)
    return open_source(spec)


__all__ = ["Compiled", "InputError", "compile", "load"]
