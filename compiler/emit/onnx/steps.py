"""Can the graph carry keys and values from call to call, and what are its outputs called?"""

from compiler import ops
from compiler.emit.onnx.sheet import ABSENT, Sheet
from compiler.emit.onnx.stacks import divide
from compiler.ir.program import Program
from compiler.ir.types import TensorType
from compiler.masks.facts import Mask, parts

SEVERAL = "the model has several stacks"


def carries(op: str) -> str | None:
    """How an operator's state enters and leaves the graph, as its `write_onnx.py` says (STATE): "cache": the inputs for
    past keys and values and the attention mask hold it; "own": inputs of its own; None: it has none yet."""
    return getattr(ops.write(op, "onnx"), "STATE", None)


def no_step(program: Program) -> str | None:
    """None if the whole program can step with past keys and values; else the first reason why not."""
    if len(program.meta.get("stacks", [])) > 1 and divide(program) is not None:
        return SEVERAL
    masks = [type_ for name, type_ in program.main.inputs.items() if program.optional.get(name) == "ones"]
    counted = any(type_.shape[1] == "T" for type_ in masks)
    stateful, length = 0, int(program.meta.get("max_length") or 0)
    for graph in program.graphs():
        for node in graph.nodes:
            if node.op == "repeat":
                continue
            op = ops.get(node.op)
            if reason := op.lookahead(node.attrs):
                return reason
            beyond = op.changes_beyond(node.attrs)
            if beyond is not None and not 0 < length <= beyond:
                return (
                    f"beyond {beyond} tokens {node.op} turns all of a text by its length, which no past tells "
                    f"(with a max_length of {beyond} at most it steps)"
                )
            state = op.state([graph.types[v] if v else ABSENT for v in node.inputs], node.attrs)
            carried = carries(node.op)
            if (carried == "cache" or node.op == "positions") and not counted:
                return "the model has no mask input that counts its past"
            if carried == "own" and graph is program.main:
                return f"the state of {node.op} outside the layers has no ONNX inputs yet"
            if state and carried is None and node.op != "positions":
                return f"the state of {node.op} has no ONNX inputs yet"
            if carried == "cache" and any(tensor.kind == "constant" for tensor in state):
                return "a memory beside keys and values has no ONNX inputs yet"
            if node.attrs.get("cross") and not told_by_rows(node.attrs["mask"]):
                return f"the mask {node.attrs['mask']['type']!r} over a source counts rows from the first"
            stateful += carried is not None
    return None if stateful else "nothing in it carries anything from token to token"


def told_by_rows(mask: Mask) -> bool:
    """Is what a row sees of a source told without the row's number?"""
    if mask["type"] in ("and", "or", "not", "by_head"):
        return all(map(told_by_rows, parts(mask)))
    return mask["type"] in ("full", "input", "label", "keys")


def name_outputs(sheet: Sheet, values: tuple[str, ...]) -> None:
    """The program's output as `logits` or `last_hidden_state`, then `present.<n>.key` and `.value`, then
    `present_state.<n>.<name>`."""
    program = sheet.program
    types = [program.main.types[v] for v in program.main.outputs]
    public = "logits" if program.meta.get("has_head", True) else "last_hidden_state"
    for i, (value, type_) in enumerate(zip(values, types, strict=True)):
        sheet.outputs[f"{public}_{i}" if i else public] = (value, type_)
    for number, cache in enumerate(sheet.caches):
        widths = (cache.key_width, cache.value_width)
        for role, value, width in zip(("key", "value"), cache.present, widths, strict=True):
            sheet.outputs[f"present.{number}.{role}"] = (value, TensorType("float", ("B", cache.heads, "T", width)))
    for kept in sheet.kept:
        shape = tuple(d.replace("P_", "T_") if isinstance(d, str) else d for d in kept.type.shape)
        after = TensorType(kept.type.dtype, shape)
        sheet.outputs[kept.past.replace("past", "present", 1)] = (kept.present, after)
