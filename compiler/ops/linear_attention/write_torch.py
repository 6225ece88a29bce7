"""`linear_attention` in PyTorch: a state in chunks of tokens, or all tokens at once."""

import math

from compiler.emit.torch.numbers import floats
from compiler.emit.torch.writer import Writer
from compiler.ir.graph import Node
from compiler.ir.program import by_layer


def write(w: Writer, node: Node) -> None:
    q, k, v = (w.read(node, i) for i in range(3))
    scale, eps = float(node.attrs["scale"]), w.attr(node, "key_sum")
    on_keys = ", on_keys=True" if w.attr(node, "eps_at") == "keys" else ""
    if w.attr(node, "mask") == "full":
        w.helper("attend_linearly_all")
        more = "" if eps is None else f", {float(eps)!r}{on_keys}"
        w.set(node, f"attend_linearly_all({q}, {k}, {v}, {scale!r}{more})", keeps=2)
        return
    rest = [w.read(node, i) for i in range(3, len(node.inputs))]
    decays = [rest.pop(0)] if w.attr(node, "gated") else []
    rates = w.attr(node, "rates")
    if rates is not None:
        key, heads = by_layer(rates), int(w.type(node.inputs[0]).shape[1])
        decays.append(_fixed(w, [float(rate) for rate in rates]) if key is None else _by_layer(w, key, heads))
    past = w.cache(node) if w.steps else ["None", "None"]
    arguments = [q, k, v, *past[: 1 if eps is None else 2], repr(scale)]
    arguments += [] if eps is None else [repr(float(eps))]
    arguments += [f"log_decay={' + '.join(decays)}"] if decays else []
    arguments += [f"beta={rest[0]}"] if w.attr(node, "rule") == "delta" else []
    name = "attend_linearly" if eps is None else "attend_linearly_shares"
    w.helper(name)
    w.set(node, f"{name}({', '.join(arguments)}{on_keys if eps is not None else ''})", keeps=2)


def _fixed(w: Writer, rates: list[float]) -> str:
    """The variable of one log decay for each head (1, H, 1, 1), computed once."""
    shared = rates[:1] if len(set(rates)) == 1 else rates
    buffer = w.buffer("log_decays", w.const("log_decays", floats(_logs(shared))))
    wide = "torch.promote_types({0}.dtype, torch.float32)"
    return w.once("log_decays", f"self.{buffer}.to({wide})[None, :, None, None]", w.stream)


def _by_layer(w: Writer, key: str, heads: int) -> str:
    """The same where each layer has its own."""
    wide = "torch.promote_types({1}.dtype, torch.float32)"
    template = f"{{0}}.to({wide})[:, None, :, None, None]"
    return w.each_layer("log_decays", template, heads, lambda numbers: _logs(numbers[key]))


def _logs(rates: list[float]) -> list[float]:
    if min(rates) <= 0:
        raise NotImplementedError(f"'linear_attention' with a decay of {min(rates)!r}")
    return [math.log(rate) for rate in rates]
