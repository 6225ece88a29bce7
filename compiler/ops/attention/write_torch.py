"""`attention` in PyTorch."""

from collections.abc import Mapping
from typing import Any

from compiler.emit.torch.masks import causal_window, is_full, rule
from compiler.emit.torch.writer import RUNTIME, Writer
from compiler.ir.graph import Node
from compiler.masks.facts import PREFIX, behind_prompt, by_inputs, cache_limit, input_names
from compiler.ops.attention.torch_blocks import between, in_layer, known, narrowed
from compiler.ops.attention.torch_rules import places, rule_function

HELPERS = "compiler.ops.attention.torch_helpers"


def view(w: Writer, node: Node, key_mask: str, named: dict[str, str]) -> tuple[str, str, str]:
    """(span or "", mask, causal) expressions: what the node's queries see. `key_mask`: a value of the graph or "".

    named: mask input -> value of the graph. Where a layer makes its mask itself, `narrowed` adds what is missing here.
    """
    mask = node.attrs["mask"]
    real = "{1}" if key_mask else "None"
    inputs = (w.stream, *([key_mask] if key_mask else []))
    if between(w, node):
        if is_full(mask) or in_layer(w, node):
            return "", padding(w, key_mask), "False"
        seen = seen_by_inputs(w, mask, inputs, named)
        w.helper("given_mask", HELPERS)
        extra = ", empty_rows_see_all=True" if w.attr(node, "empty_rows") == "all" else ""
        return "", w.once("mask", f"given_mask({seen}, {real}, {{0}}{extra})", *inputs, *named.values()), "False"
    fields = ""
    if w.steps:
        limit, mask = cache_limit(mask), known(mask)
        causal, window = causal_window(mask)
        named = {name: named[name] for name in input_names(mask)}
        fields += f", limit={limit}" if limit is not None else ""
        if causal:
            fields += f", window={window}" if window is not None else ""
        elif named:
            fields += rule_by_inputs(w, mask, [*named], len(inputs))
        else:
            fields += f", rule={rule_function(w, 'sees', mask, 'i[-1] + 1')}"
        w.helper("Span", f"{RUNTIME}.attention")
        span = w.once("span", f"Span(state, {real}, {{0}}{fields})", *inputs, *named.values())
        return span, f"{span}.mask", f"{span}.causal"
    if is_full(mask) and w.attr(node, "empty_rows") != "all":
        return "", padding(w, key_mask), "False"
    if in_layer(w, node):
        return "", "None", "False"
    sees = rule_function(w, "sees", mask, "j.shape[1]", named)
    text = f"lambda i, j: {sees}(i, j{places(w, [*named], len(inputs))})" if named else sees
    w.helper("visible_mask", f"{RUNTIME}.attention")
    extra = ", empty_rows_see_all=True" if w.attr(node, "empty_rows") == "all" else ""
    template = f"visible_mask({real}, {{0}}, {text}{extra})"
    return "", w.once("mask", template, *inputs, *named.values()), "False"


def rule_by_inputs(w: Writer, mask: Mapping[str, Any], names: list[str], first: int) -> str:
    """What `Span` is told of a mask that reads inputs, whose values stand from `first` on in the template.

    Behind a prefix that is all that is not causal, the rule holds for the first step only.
    """
    sees = rule_function(w, "sees", mask, "i[-1] + 1", names, slots=True)
    causal, window = causal_window(behind_prompt(mask))
    if causal and names == [PREFIX]:
        behind = f", window={window}" if window is not None else ""
        return f"{behind}, prompt=lambda i, j: {sees}(i, j, {{{first}}})"
    return f", rule=lambda i, j: {sees}(i, j{places(w, names, first)})"


def seen_by_inputs(w: Writer, mask: Mapping[str, Any], inputs: tuple[str, ...], named: dict[str, str]) -> str:
    """A template for what a mask over other rows shows: places {0}, ... are `inputs`, then the mask's own ones."""
    if not by_inputs(mask):
        raise NotImplementedError("a mask over rows other than the queries' own that reads more than inputs")
    return rule(mask, "", {name: f"{{{len(inputs) + i}}}" for i, name in enumerate(named)})


def span_of(w: Writer, node: Node) -> str:
    """The span of the attention that reads the output of `node`."""
    reader = next(user for user in w.graph.users(node.outputs[0]) if user.op == "attention")
    named = dict(zip(w.attr(reader, "mask_inputs"), reader.inputs[4:], strict=False))
    return view(w, reader, reader.inputs[3], named)[0]


def all_keys(w: Writer, node: Node, index: int) -> str:
    """The variable of an input of `node`, keys (B, G, S, D) of the attention that reads its output; where the model
    steps, with all of the state."""
    reader = next(user for user in w.graph.users(node.outputs[0]) if user.op == "attention")
    if not w.steps:
        return w.read(node, index)
    if reader.inputs[1] != node.inputs[index]:
        raise NotImplementedError("scores of keys that are not the attention's own in a model that steps")
    if reader.name not in w.kept:
        span, past, keys = span_of(w, node), w.cache(reader), w.local("keys")
        w.line(f"{keys} = {span}.keep({past[0]}, {w.read(node, index)})", "(B, G, K, D)")
        w.kept[reader.name] = past, keys
    return w.kept[reader.name][1]


def padding(w: Writer, key_mask: str) -> str:
    """The mask that hides padded keys."""
    if not key_mask:
        return "None"
    w.helper("padding_mask", f"{RUNTIME}.attention")
    return w.once("mask", "padding_mask({1}, {0})", w.stream, key_mask)


def core(w: Writer, node: Node, q: str, k: str, v: str, mask: str, causal: str, bias: str = "") -> str:
    """The attention call. bias: what is added to the scores before a softcap."""
    scale, cap = float(node.attrs["scale"]), w.attr(node, "softcap")
    if w.attr(node, "sink"):
        w.helper("attend_beside", HELPERS)
        more = f", {float(cap)!r}" if cap else ""
        more += f", {bias}" if bias else ""
        return f"attend_beside({q}, {k}, {v}, {mask}, {causal}, {scale!r}, {w.param(node, 'sink')}{more})"
    if cap:
        w.helper("attend_capped", f"{RUNTIME}.attention")
        more = f", {bias}" if bias else ""
        return f"attend_capped({q}, {k}, {v}, {mask}, {causal}, {scale!r}, {float(cap)!r}{more})"
    w.helper("attend", f"{RUNTIME}.attention")
    return f"attend({q}, {k}, {v}, {mask}, {causal}, {scale!r})"


def write(w: Writer, node: Node) -> None:
    names = w.attr(node, "mask_inputs")
    q = w.read(node, 0)
    named = dict(zip(names, node.inputs[4:], strict=False))
    span, mask, causal = view(w, node, node.inputs[3], named)
    if node.attrs.get("cross"):
        k, v = w.hold(node, 1), w.hold(node, 2)
    else:
        k, v = w.read(node, 1), w.read(node, 2)
    past: list[str] = []
    if span and node.name in w.kept:
        past, k = w.kept[node.name]
        values = w.local("values")
        w.line(f"{values} = {span}.keep({past[1]}, {v})", "(B, G, K, D)")
        v = values
    elif span:
        past, keys, values = w.cache(node), w.local("keys"), w.local("values")
        w.line(f"{keys}, {values} = {span}.keep({past[0]}, {k}), {span}.keep({past[1]}, {v})", "(B, G, K, D)")
        k, v = keys, values
    mask, causal = narrowed(w, node, (q, k), node.inputs[3], named, (span, mask, causal))
    first, at, scale = 4 + len(names), w.attr(node, "bias_at"), float(node.attrs["scale"])
    biases = [w.variable(value) for value in node.inputs[first : first + len(at)]]
    capped: list[str] = []  # a cap bounds the scores with what is added to them, and then the mask hides
    for bias, where in zip(biases, at, strict=True):
        if where == "extra":
            continue
        if where == "before_scale" and scale != 1:
            bias = f"{bias} * {scale!r}"
        if w.attr(node, "softcap"):
            capped.append(bias)
            continue
        name = w.local("mask")
        w.helper("add_bias", f"{RUNTIME}.attention")
        w.line(f"{name} = add_bias({mask}, {causal}, {bias})")
        mask, causal = name, "False"
    if w.attr(node, "extra"):
        own, (k, v, mask) = k, more_keys(w, node, first + len(at), (q, k, v, mask, causal), past)
        causal = "False"
        if capped and "extra" in at:
            raise NotImplementedError("biases on capped scores of keys that stand at places of their own")
        if capped:
            w.helper("bias_beside", HELPERS)
            capped = [f"bias_beside({' + '.join(capped)}, {own}, {k})"]
    w.set(node, core(w, node, q, k, v, mask, causal, " + ".join(capped)), keeps=0)


def more_keys(w: Writer, node: Node, first: int, given: tuple[str, ...], past: list[str]) -> tuple[str, str, str]:
    """Variables of keys, values and mask with the extra ones, whose inputs begin at `first`. past: the node's state."""
    k, v, mask = (w.local(hint) for hint in ("keys", "values", "mask"))
    read = [w.read(node, i) for i in range(first, len(node.inputs))]
    parts = [read[i : i + 3] for i in range(0, len(read), 3)]
    for part, kind in zip(parts, w.attr(node, "extra"), strict=True):
        if kind == "compressed":
            part[:] = compressed(w, node, part, past[2:])
        elif kind == "zeros":
            w.helper("score_for_all", HELPERS)
            part[2] = f"score_for_all({part[2]}{beside(w, node)})"
    w.helper("with_extra_keys")
    listed = ", ".join(f"({', '.join(part)})" for part in parts)
    w.line(f"{k}, {v}, {mask} = with_extra_keys({', '.join(given)}, [{listed}])")
    return k, v, mask


def compressed(w: Writer, node: Node, given: list[str], past: list[str]) -> list[str]:
    """Expressions of slots' keys and values, with earlier ones, and of what is added to their scores."""
    k, v, mask = given
    if past:
        slots = mask.partition(".")[0]
        k, v = f"{slots}.keep({past[0]}, {k})", f"{slots}.keep({past[1]}, {v})"
    return [k, v, mask + beside(w, node)]


def beside(w: Writer, node: Node) -> str:
    """What position terms add to the scores of keys that stand at places of their own: " + ..." or ""."""
    scale, first = float(node.attrs["scale"]), 4 + len(w.attr(node, "mask_inputs"))
    found = [w.read(node, first + i) for i, where in enumerate(w.attr(node, "bias_at")) if where == "extra"]
    return "".join(f" + {bias}" + ("" if scale == 1 else f" * {scale!r}") for bias in found)
