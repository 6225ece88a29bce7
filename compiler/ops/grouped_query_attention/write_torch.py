"""`grouped_query_attention` in PyTorch: heads split, normed, turned, kept, attended, joined."""

import importlib

from compiler.emit.torch.writer import Writer
from compiler.ir.graph import Node
from compiler.ops.attention.torch_blocks import narrowed
from compiler.ops.attention.write_torch import core, view
from compiler.ops.rope.write_torch import table, turn


def write(w: Writer, node: Node) -> None:
    heads, groups = node.attrs["heads"], node.attrs["kv_heads"]
    rope, norms = w.attr(node, "rope"), w.attr(node, "qk_norm")
    span, mask, causal = view(w, node, node.inputs[4], {})
    packed = not node.inputs[1]
    width = int(w.type(node.inputs[0]).shape[-1]) // (heads + 2 * groups if packed else heads)
    table_name = table(w, rope, node.inputs[3]) if rope is not None else ""
    q, k, v = w.local("q"), w.local("k"), w.local("v")
    if packed:
        x = w.local("heads")
        all_heads = heads + 2 * groups
        w.line(f"{x} = {w.read(node, 0)}.unflatten(-1, ({all_heads}, {width})).transpose(1, 2)",
               f"(B, {all_heads}, S, {width})")  # fmt: skip
        if rope is not None and norms is None:  # q and k turn together
            qk = w.local("qk")
            w.line(f"{qk}, {v} = {x}.split(({heads + groups}, {groups}), 1)")
            w.line(f"{q}, {k} = {turn(w, rope, qk, table_name, width)}.split(({heads}, {groups}), 1)")
            rope = None
        else:
            w.line(f"{q}, {k}, {v} = {x}.split(({heads}, {groups}, {groups}), 1)")
    else:
        for name, index, n in ((q, 0, heads), (k, 1, groups), (v, 2, groups)):
            d = int(w.type(node.inputs[index]).shape[-1]) // n
            w.line(f"{name} = {w.read(node, index)}.unflatten(-1, ({n}, {d})).transpose(1, 2)", f"(B, {n}, S, {d})")
    if norms is not None:
        norm = importlib.import_module(f"compiler.ops.{norms['norm']}.write_torch")
        for name, part in ((q, "q_norm"), (k, "k_norm")):
            weight, bias = (
                w.param(node, f"{part}.{role}") if f"{part}.{role}" in node.params else ""
                for role in ("weight", "bias")
            )
            w.line(f"{name} = {norm.call(w, name, width, norms, weight, bias)}")
    if rope is not None:
        w.line(f"{q}, {k} = {turn(w, rope, q, table_name, width)}, {turn(w, rope, k, table_name, width)}")
    if span:
        past = w.cache(node)
        w.line(f"{k}, {v} = {span}.keep({past[0]}, {k}), {span}.keep({past[1]}, {v})", f"(B, {groups}, K, {width})")
    mask, causal = narrowed(w, node, (q, k), node.inputs[4], {}, (span, mask, causal))
    w.set(node, f"{core(w, node, q, k, v, mask, causal)}.transpose(1, 2).flatten(2)")
