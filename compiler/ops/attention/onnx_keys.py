"""Keys besides those of the sequence, joined to them for one softmax: extra ones behind, a sink as a key of zeros.

What hides keys is a float mask then, (B, H, S, keys), added after the softcap; there a sink has its score.
"""

from compiler.emit.onnx.masks import LOWEST, hidden_as
from compiler.emit.onnx.sheet import LOCAL
from compiler.emit.onnx.writer import Writer, key_of
from compiler.ir.graph import Node
from compiler.ir.types import Dim, TensorType
from compiler.ops.base import Attrs
from compiler.ops.slot_places.write_onnx import counted, evicted


def joined(
    w: Writer,
    types: tuple[TensorType, TensorType, TensorType],
    k: str,
    v: str,
    seen: str,
    biases: tuple[str, ...] = (),
    extra: tuple[tuple[str, str, str], ...] = (),
    sink: str = "",
) -> tuple[str, str, str, tuple[str, ...]]:
    """Keys, values, mask and biases with those of `extra` (keys, values, mask up to (B, H, S, E)) and the sink.

    types: of q (B, H, S, D), and of keys and values (B, G, T, D); seen bool up to (B, H, S, T), biases up to the same.
    """
    q_type, k_type, v_type = types
    rows = (q_type.shape[0], int(q_type.shape[1]), q_type.shape[2])
    keys, values, hidden = [k], [v], [_as_rows(w, hidden_as(w, seen), rows)]
    for more, held, mask in extra:
        keys.append(more)
        values.append(held)
        hidden.append(_as_rows(w, mask, rows))
    if sink:
        for parts, type_ in ((keys, k_type), (values, v_type)):
            parts.append(_zero_key(w, TensorType("float", (type_.shape[0], type_.shape[1], 1, type_.shape[3]))))
        hidden.append(_as_rows(w, w.op("Reshape", sink, w.ints(1, -1, 1, 1)), rows))
    mask, *padded = (w.op("Concat", *parts, axis=-1) for parts in (hidden, *_padded(w, biases, hidden, rows)))
    return w.op("Concat", *keys, axis=2), w.op("Concat", *values, axis=2), mask, tuple(padded)


def extras(w: Writer, node: Node) -> tuple[tuple[str, str, str], ...]:
    """Keys, values and float mask for each entry of the node's `extra`."""
    kinds, at = node.attrs.get("extra", []), node.attrs.get("bias_at", [])
    first = len(w.inputs) - 3 * len(kinds)
    biases = [w.inputs[first - len(at) + i] for i, where in enumerate(at) if where == "extra"]
    found = []
    for number, kind in enumerate(kinds):
        k, v, mask = w.inputs[first + 3 * number :][:3]
        if kind in ("compressed", "zeros"):
            slots = w.types[first + 3 * number].shape[2]
            seen = _slots(w, node.attrs["compressed"], mask, w.types[0].shape[2], slots) if kind != "zeros" else mask
            hidden = _biased(w, seen, biases, node.attrs["scale"])
        else:
            hidden = _given(w, mask) if mask else _zeros(w, k)
        found.append((k, v, hidden))
    return tuple(found)


def _slots(w: Writer, past: Attrs, real: str, new: Dim, slots: Dim) -> str:
    """Compressed slots that the queries of a whole sequence see, up to (B, H, S, Z)."""

    def seen(m: Writer) -> str:
        slot = counted(m, slots)  # (Z,)
        _, gone = evicted(m, m.op("Unsqueeze", counted(m, new), m.ints(1)), past)  # (S, 1)
        ready = m.op("Div", gone, m.whole(past["rate"]))
        late = m.op("GreaterOrEqual", slot, m.op("Sub", ready, m.whole(past["slots"])))
        some = m.op("And", m.op("Less", slot, ready), late)
        return m.op("And", some, m.op("Unsqueeze", m.cast(real, "bool"), m.ints(1, 2))) if real else some

    return w.shared(key_of("slots in view", dict(past), [new, slots], real), seen)


def _biased(w: Writer, seen: str, biases: list[str], scale: float) -> str:
    """The biases, given before the scale, where visible, a huge negative elsewhere."""
    total = w.number(0.0)
    for bias in biases:
        total = w.op("Add", total, w.op("Mul", bias, w.number(scale)))
    return w.op("Where", seen, total, w.number(LOWEST))


def _zero_key(w: Writer, type_: TensorType) -> str:
    return w.shared(key_of("zeros", list(type_.shape), type_.dtype), lambda m: m.zeros(type_))


def _as_rows(w: Writer, mask: str, rows: tuple[object, int, object]) -> str:
    """A mask (1|B, 1|H, 1|S, keys) for all rows (B, H, S)."""

    def build(m: Writer) -> str:
        batch, heads, new = rows
        sizes = m.op("Concat", m.length(batch), m.ints(heads), m.length(new), m.ints(1), axis=0)
        return m.op("Expand", mask, sizes)

    return build(w) if mask.startswith(LOCAL) else w.shared(key_of("all rows", mask, list(rows)), build)


def _given(w: Writer, mask: str) -> str:
    """(B, E), true where real, as numbers to add (B, 1, 1, E)."""
    seen = w.op("Unsqueeze", w.cast(mask, "bool"), w.ints(1, 2))
    return w.op("Where", seen, w.number(0.0), w.number(LOWEST))


def _zeros(w: Writer, more: str) -> str:
    """Nothing of (B, G, E, D) hidden: (1, 1, 1, E)."""
    sizes = w.op("Concat", w.ints(1, 1, 1), w.op("Shape", more, start=2, end=3), axis=0)
    return w.op("Expand", w.number(0.0), sizes)


def _padded(
    w: Writer, biases: tuple[str, ...], hidden: list[str], rows: tuple[object, int, object]
) -> list[tuple[str, ...]]:
    """For each bias its parts: itself, and zeros for every part of `hidden` but the first."""
    none = [w.op("Mul", part, w.number(0.0)) for part in hidden[1:]] if biases else []
    return [(_as_rows(w, bias, rows), *none) for bias in biases]
