"""GroupQueryAttention with rotation and cache inside, where provider, dtype and shape allow it; else its parts.

What ONNX Runtime 1.31 takes on the CPU: causal masks with or without a window, head sizes that are multiples of 8,
rotary dims that are multiples of 16. Norms of q and k stand before it (inside it they exist on CUDA only). Behind a
past it takes one token at a time, or several in a batch of one; `portable` has no such limit.

Padding. Its own convention is right padding: `seqlens_k` counts each row's tokens and a row goes on right behind them.
genai works so. Otherwise (`ort`) every slot counts, so that padding may stand anywhere: hidden keys get a huge negative
bias. It then rotates by slot number, and where positions are something else the rotation stands before it: given
position ids it takes those of the first row for all rows of a prompt (CPU provider, 1.31.1).
"""

from compiler.emit.onnx.blocks import Scored
from compiler.emit.onnx.masks import Rows, hidden_as, visible
from compiler.emit.onnx.target import FUSED
from compiler.emit.onnx.writer import Writer
from compiler.ir.graph import Node
from compiler.masks.facts import Mask
from compiler.ops.attention.onnx_keys import joined
from compiler.ops.attention.write_onnx import attend, remember
from compiler.ops.base import Attrs
from compiler.ops.grouped_query_attention.shape import packed, split
from compiler.ops.merge_heads.write_onnx import merge
from compiler.ops.rms_norm.write_onnx import normed
from compiler.ops.rope.write_onnx import rotate, tables
from compiler.ops.split_heads.write_onnx import split as split_heads

FUSED_NAME = "GroupQueryAttention"
FIELDS = ("heads", "kv_heads", "mask", "scale", "softcap", "rope", "qk_norm", "sink", "at_least")
STATE = "cache"


def write(w: Writer, node: Node) -> str:
    q_type, _, v_type = split(w.types, node.attrs)
    widths = int(q_type.shape[3]), int(v_type.shape[3])
    if not w.target.has(FUSED_NAME):
        return _parts(w, node, *widths)
    if reason := refusal(w, node.attrs, *widths):
        w.note(f"{FUSED_NAME} not used for {node.name}: {reason}")
        return _parts(w, node, *widths)
    return _fused(w, node, widths[0])


def refusal(w: Writer, attrs: Attrs, width: int, value_width: int) -> str | None:
    """None, or why ONNX Runtime's GroupQueryAttention cannot compute this."""
    if window(attrs["mask"]) is None:
        return f"the mask {attrs['mask']['type']!r} is not causal with at most one window"
    if width % 8:
        return f"head size {width} is not a multiple of 8"
    if width != value_width:
        return f"keys have width {width}, values {value_width}"
    if w.types[4].dtype == "absent":
        return "there is no attention mask to count the keys"
    return None


def window(mask: Mask) -> int | None:
    """Visible tokens of a causal mask, -1 for all of them; None for any other mask."""
    match mask["type"]:
        case "causal":
            return -1
        case "window" if mask.get("block", 1) == mask.get("dilation", 1) == 1 and mask.get("ahead", 0) == 0:
            return -1 if mask.get("behind") is None else int(mask["behind"])
        case "and":
            each = [window(part) for part in mask["of"]]
            if None in each:
                return None
            return min((n for n in each if n is not None and n > 0), default=-1)
    return None


def rotates_inside(w: Writer, rope: Attrs | None, positions: str) -> bool:
    """Can GroupQueryAttention rotate q and k itself?"""
    if rope is None or rope["dims"] % 16 or rope.get("offset", 0) or tables(w, rope) is None:
        return False
    return w.target.runtime == "genai" or positions in w.sheet.slots


def _fused(w: Writer, node: Node, width: int) -> str:
    attrs = node.attrs
    q, k, v, positions, key_mask = w.inputs
    rope, norm = attrs.get("rope"), attrs.get("qk_norm")
    inside = rotates_inside(w, rope, positions)
    if packed(w.types) and (norm is not None or (rope is not None and not inside)):
        q, k, v = _unpacked(w, q, attrs, width)
    if norm is not None:
        q, k = (_norm_flat(w, x, norm, part, width) for x, part in ((q, "q_norm."), (k, "k_norm.")))
    if rope is not None and not inside:
        q, k = (_rotate_flat(w, x, positions, rope, width) for x in (q, k))
    past = w.past()
    present = (bool(past[0]), bool(past[0]))
    total_symbol = w.key_length(w.types[0], axis=1)
    total = w.shared(f"total {total_symbol}", lambda m: m.scalar(m.length(total_symbol), "int32"))
    cos, sin = (tables(w, rope) or ("", "")) if inside and rope is not None else ("", "")
    if w.target.runtime == "genai":
        counts, bias = _counted(w, key_mask), ""
    else:
        counts = _all_slots(w, total_symbol, w.types[0].shape[0])
        rows = Rows(w.types[0].shape[1], total_symbol, {})
        bias = hidden_as(w, visible(w, {"type": "full"}, rows, key_mask))
    given = [q, k, v, *past, counts, total, cos, sin, "", bias, w.param("sink") if attrs.get("sink") else ""]
    while not given[-1]:
        given.pop()
    y, *kept = w.many(
        FUSED_NAME, *given, outputs=(True, *present) if past[0] else 1, domain=FUSED[FUSED_NAME][0],
        num_heads=attrs["heads"], kv_num_heads=attrs["kv_heads"], scale=attrs["scale"], softcap=attrs.get("softcap"),
        local_window_size=window(attrs["mask"]), do_rotary=int(inside),
        rotary_interleaved=int(rope["pairing"] == "interleaved") if inside and rope is not None else 0,
    )  # fmt: skip
    if past[0]:
        w.keep(past, (kept[0], kept[1]), attrs["kv_heads"], width, width)
    return y


def _counted(w: Writer, key_mask: str) -> str:
    """seqlens_k (B,): unmasked tokens of each row, less one."""

    def build(m: Writer) -> str:
        counts = m.op("Sub", m.op("ReduceSum", key_mask, m.ints(1), keepdims=0), m.ints(1))
        return m.cast(counts, "int32")

    return w.shared(f"seqlens {key_mask}", build)


def _all_slots(w: Writer, total: object, batch: object) -> str:
    """seqlens_k (B,): all slots, less one."""

    def build(m: Writer) -> str:
        counts = m.op("Expand", m.op("Sub", m.length(total), m.ints(1)), m.length(batch))
        return m.cast(counts, "int32")

    return w.shared(f"slots {total} {batch}", build)


def _unpacked(w: Writer, x: str, attrs: Attrs, width: int) -> tuple[str, str, str]:
    heads, groups = attrs["heads"], attrs["kv_heads"]
    q, k, v = w.many("Split", x, w.ints(heads * width, groups * width, groups * width), outputs=3, axis=-1)
    return q, k, v


def _norm_flat(w: Writer, x: str, norm: Attrs, part: str, width: int) -> str:
    """The norm of each head of x (B, S, heads·width)."""
    heads = w.op("Reshape", x, w.ints(0, 0, -1, width))
    return w.op("Reshape", normed(w, norm["norm"], heads, norm, width, part), w.ints(0, 0, -1))


def _rotate_flat(w: Writer, x: str, positions: str, rope: Attrs, width: int) -> str:
    """The rotation of each head of x (B, S, heads·width)."""
    heads = w.op("Transpose", w.op("Reshape", x, w.ints(0, 0, -1, width)), perm=[0, 2, 1, 3])
    turned = w.op("Transpose", rotate(w, heads, positions, rope, width), perm=[0, 2, 1, 3])
    return w.op("Reshape", turned, w.ints(0, 0, -1))


def _parts(w: Writer, node: Node, width: int, value_width: int) -> str:
    """Heads split, normed, rotated, attended, joined: standard operators."""
    attrs = node.attrs
    q, k, v, positions, key_mask = w.inputs
    heads, groups, rope, norm = attrs["heads"], attrs["kv_heads"], attrs.get("rope"), attrs.get("qk_norm")
    if packed(w.types):
        q, k, v = _unpacked(w, q, attrs, width)
    q, k, v = split_heads(w, q, heads), split_heads(w, k, groups), split_heads(w, v, groups)
    if norm is not None:
        q, k = (normed(w, norm["norm"], x, norm, width, part) for x, part in ((q, "q_norm."), (k, "k_norm.")))
    if rope is not None:
        q, k = (rotate(w, x, positions, rope, width) for x in (q, k))
    k, v = remember(w, k, v, groups, width, value_width)
    rows = Rows(w.types[0].shape[1], w.key_length(w.types[0], axis=1), {}, Scored(q, k, heads, groups, width))
    seen = visible(w, attrs["mask"], rows, key_mask)
    hidden = ""
    if attrs.get("sink"):
        k, v, hidden, _ = joined(w, split(w.types, attrs), k, v, seen, sink=w.param("sink"))
    y = attend(w, q, k, v, seen, (), attrs["scale"], attrs.get("softcap"), heads // groups, hidden)
    return merge(w, y, heads * value_width)
