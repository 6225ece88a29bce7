"""The filled sheet as an ONNX file. Weights go into the data file one after another; no two are held at once."""

from collections.abc import Callable, Iterable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import onnx_ir as ir

from archspec.errors import InputError
from compiler.emit.onnx.sheet import NUMPY, Array, Body, Line, Sheet, Table, Weight
from compiler.emit.onnx.target import IR_VERSION, MICROSOFT, OPSET
from compiler.ir.types import Dim, TensorType

DATA_FILE = "model.onnx.data"
MODEL_FILE = "model.onnx"
INLINE_BYTES = 1024  # shape constants must stay inside the model: ONNX Runtime's shape inference reads them there

DTYPES = {
    "fp64": ir.DataType.DOUBLE, "fp32": ir.DataType.FLOAT, "fp16": ir.DataType.FLOAT16, "bf16": ir.DataType.BFLOAT16,
    "int": ir.DataType.INT64, "int32": ir.DataType.INT32, "bool": ir.DataType.BOOL,
}  # fmt: skip
_SYMBOLS = {"B": "batch", "S": "length", "T": "total", "P": "past"}


def build(
    sheet: Sheet, tensors: Mapping[str, Any], dtype: str, stored: Mapping[Weight, ir.ExternalTensor] | None = None
) -> ir.Model:
    """Nothing of `tensors` is read before the model is saved. stored: weights that a data file holds already."""
    values: dict[str, ir.Value] = {}
    for name, type_ in graph_inputs(sheet).items():
        exact = "int" if type_.dtype == "bool" else dtype if type_.dtype == "float" else type_.dtype
        values[name] = ir.val(name, DTYPES[exact], [_dim(sheet, d) for d in type_.shape])
    inputs = list(values.values())
    initializers: list[ir.Value] = []
    for name, weight in sheet.weights.items():
        load = partial(_load, tensors, weight, name, dtype)
        held = (stored or {}).get(weight) or ir.LazyTensor(load, DTYPES[dtype], ir.Shape(weight.shape), name=name)
        initializers.append(ir.val(name, DTYPES[dtype], list(weight.shape), const_value=held))
    for name, table in sheet.tables.items():
        later = ir.LazyTensor(partial(_table, table, name), DTYPES[table.dtype], ir.Shape(table.shape), name=name)
        initializers.append(ir.val(name, DTYPES[table.dtype], list(table.shape), const_value=later))
    for name, constant in sheet.constants.items():
        tensor = ir.Tensor(constant, name=name)
        initializers.append(ir.val(name, tensor.dtype, list(constant.shape), const_value=tensor))
    values.update((value.name or "", value) for value in initializers)
    nodes = _nodes(sheet.lines, values, "node")
    results = _outputs(sheet, values, nodes, dtype)
    graph = ir.Graph(
        inputs, results, nodes=nodes, initializers=initializers, name="model",
        opset_imports={"": OPSET, MICROSOFT: 1},
    )  # fmt: skip
    return ir.Model(graph, ir_version=IR_VERSION, producer_name="archspec")


def graph_inputs(sheet: Sheet) -> dict[str, TensorType]:
    """The program's inputs, then the past keys and values, then the other states."""
    past = {
        name: TensorType("float", ("B", cache.heads, "P", width))
        for cache in sheet.caches
        for name, width in zip(cache.past, (cache.key_width, cache.value_width), strict=True)
    }
    return {**sheet.inputs, **past, **{kept.past: kept.type for kept in sheet.kept}}


def save(model: ir.Model, folder: Path, progress: Callable[[int, int], None] | None = None) -> list[Path]:
    """Write model.onnx and model.onnx.data. progress(done, total) is called after each tensor."""

    def tell(_: Any, info: Any) -> None:
        if progress is not None:
            progress(info.index + 1, info.total)

    # Aligned offsets let ONNX Runtime map the file instead of copying it.
    ir.save(model, folder / MODEL_FILE, external_data=DATA_FILE, size_threshold_bytes=INLINE_BYTES, callback=tell,
            alignment=4096, align_threshold=4096)  # fmt: skip
    return [path for path in (folder / MODEL_FILE, folder / DATA_FILE) if path.exists()]


def held_weights(folder: Path, sheet: Sheet) -> dict[Weight, ir.ExternalTensor]:
    """The weights of this sheet's saved model that stand in its data file."""
    saved = ir.load(folder / MODEL_FILE).graph.initializers
    tensors = {weight: saved[name].const_value for name, weight in sheet.weights.items()}
    return {weight: tensor for weight, tensor in tensors.items() if isinstance(tensor, ir.ExternalTensor)}


def save_part(model: ir.Model, path: Path) -> Path:
    """Write a model whose large weights stand in a data file already; what does not is written into the model."""
    ir.save(model, path)
    return path


def _nodes(lines: Iterable[Line], values: dict[str, ir.Value], at: str) -> list[ir.Node]:
    nodes: list[ir.Node] = []
    for line in lines:
        made = [ir.Value(name=name) for name in line.outputs]
        name = f"{at}/{len(nodes)}"
        attrs: dict[str, Any] = {
            k: DTYPES[v].value if line.op == "Cast" and k == "to" else v for k, v in line.attrs.items()
        }
        if "body" in attrs:
            attrs["body"] = _body(attrs["body"], values, name)
        given = [values[name] if name else None for name in line.inputs]
        nodes.append(ir.node(line.op, given, attrs, domain=line.domain, outputs=made, name=name))
        values.update((value.name, value) for value in made if value.name)
    return nodes


def _body(body: Body, values: Mapping[str, ir.Value], at: str) -> ir.Graph:
    """The graph inside a Scan; what it reads from outside are the values themselves."""
    inputs = [ir.Value(name=name, type=ir.TensorType(ir.DataType.FLOAT)) for name in body.inputs]
    inner = {**values, **{value.name or "": value for value in inputs}}
    nodes = _nodes(body.lines, inner, at)
    return ir.Graph(inputs, [inner[name] for name in body.outputs], nodes=nodes, name=f"{at}/body")


def _outputs(sheet: Sheet, values: dict[str, ir.Value], nodes: list[ir.Node], dtype: str) -> list[ir.Value]:
    """Values under their public names: renamed where a node makes them, copied where they are inputs or taken."""
    results: dict[str, ir.Value] = {}
    for public, (name, type_) in sheet.outputs.items():
        value = values[name]
        if value.producer() is None or value in results.values():
            nodes.append(ir.node("Identity", [value], name=f"node/{len(nodes)}"))
            value = nodes[-1].outputs[0]
        value.name = public
        value.dtype = DTYPES[dtype if type_.dtype == "float" else type_.dtype]
        value.shape = ir.Shape([_dim(sheet, d) for d in type_.shape])
        results[public] = value
    return list(results.values())


def _dim(sheet: Sheet, dim: Dim) -> int | str:
    if isinstance(dim, int):
        return dim
    if dim == "T" and not sheet.stepping:
        dim = "S"
    if dim in _SYMBOLS:
        return _SYMBOLS[dim]
    return dim.replace("S_", "length_").replace("T_", "total_").replace("P_", "past_")


def _load(tensors: Mapping[str, Any], weight: Weight, name: str, dtype: str) -> ir.Tensor:
    """One weight in the package's dtype; called while saving, and again wherever the writer asks for its bytes."""
    array = _array(tensors, weight.path, dtype)
    if weight.beside:
        array = np.stack([array, _array(tensors, weight.beside, dtype)], 2).reshape(len(array), -1, *array.shape[2:])
    if weight.transposed:
        array = array.T
    if array.shape != weight.shape:
        raise InputError(f"the tensor for {weight.path} has shape {array.shape}, the parameter {weight.shape}")
    return ir.Tensor(np.ascontiguousarray(array), name=name)


def _array(tensors: Mapping[str, Any], path: str, dtype: str) -> Array:
    try:
        return to_numpy(tensors[path], NUMPY[dtype])
    except KeyError:
        raise InputError(f"no tensor for the parameter {path}") from None


def _table(table: Table, name: str) -> ir.Tensor:
    return ir.Tensor(table.values().astype(NUMPY[table.dtype]), name=name)


def to_numpy(tensor: Any, dtype: np.dtype[Any]) -> Array:
    """A torch tensor or numpy array of any float type as a numpy array of `dtype`."""
    if hasattr(tensor, "detach"):
        tensor = tensor.detach().cpu()
        if str(tensor.dtype) == "torch.bfloat16":  # numpy has no such type: through float32, which holds it exactly
            tensor = tensor.float()
        tensor = tensor.numpy()
    return np.asarray(tensor).astype(dtype, copy=False)
