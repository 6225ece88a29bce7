"""The mask algebra as ONNX nodes: True where key j is visible to query i, atom by atom as `compiler.masks.dense`.

i is a column (S, 1), j a row (1, T); slots, not positions: the last query stands in slot T - 1.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from compiler.emit.onnx.blocks import Scored, drawn_blocks, top_blocks
from compiler.emit.onnx.sheet import LOCAL
from compiler.emit.onnx.writer import Writer, key_of
from compiler.ir.types import Dim
from compiler.masks.facts import Mask, holds, input_names, parts


@dataclass(frozen=True, slots=True)
class Rows:
    """What a mask is built over: `new` and `total` are symbols, `named` the model inputs that the expression reads,
    `scored` the queries and keys by which it may choose."""

    new: Dim
    total: Dim
    named: Mapping[str, str]
    scored: Scored | None = None


def visible(w: Writer, mask: Mask, rows: Rows, key_mask: str, empty_rows: str = "zeros") -> str:
    """(1|B, 1|H, S, T) bool, key padding included; written once for equal questions, unless queries choose."""
    if holds(mask, "top_blocks"):
        return _visible(w, mask, rows, key_mask, empty_rows)
    key = key_of("visible", dict(mask), [rows.new, rows.total, dict(rows.named)], key_mask, empty_rows)
    return w.shared(key, lambda m: _visible(m, mask, rows, key_mask, empty_rows))


def _visible(m: Writer, mask: Mask, rows: Rows, key_mask: str, empty_rows: str) -> str:
    seen: str | None = None
    if mask["type"] != "full":
        seen = _Atoms(m, rows, key_mask).of(mask)  # (S, T) up to (B, H, S, T)
    if key_mask:
        keys = m.op("Unsqueeze", m.cast(key_mask, "bool"), m.ints(1, 2))  # (B, 1, 1, T)
        seen = m.op("And", seen, keys) if seen else keys
    sizes = m.op("Concat", m.ints(1, 1), m.length(rows.new), m.length(rows.total), axis=0)
    seen = m.op("Expand", seen or m.op("Cast", m.ints(1), to="bool"), sizes)
    if empty_rows == "all":
        some = m.op("ReduceMax", m.cast(seen, "int32"), m.ints(-1), keepdims=1)
        seen = m.op("Or", seen, m.op("Not", m.cast(some, "bool")))
    return seen


def visible_before(w: Writer, mask: Mask, rows: Rows, count: int) -> str:
    """(1, 1|H, S, count) bool: who sees keys at -count to -1, as `compiler.masks.dense.dense_before`."""
    if _in_blocks(mask):
        w.refuse(f"keys before the first under the mask {mask['type']!r} with blocks")

    def build(m: Writer) -> str:
        atoms = _Atoms(m, rows, "")
        atoms.j = m.op("Unsqueeze", m.ints(*range(-count, 0)), m.ints(0))
        sizes = m.op("Concat", m.ints(1, 1), m.length(rows.new), m.ints(count), axis=0)
        return m.op("Expand", atoms.of(mask), sizes)

    return w.shared(key_of("visible before", dict(mask), [rows.new, rows.total], count), build)


def _in_blocks(mask: Mask) -> bool:
    """Does it divide slots by the length of a block? (A quotient of whole numbers is rounded towards zero.)"""
    return mask["type"] == "fixed" or mask.get("block", 1) > 1 or any(map(_in_blocks, parts(mask)))


def hidden_as(w: Writer, seen: str, biases: tuple[str, ...] = ()) -> str:
    """The boolean mask as float numbers to add to scores: the biases' sum where visible, a huge negative elsewhere."""
    key = key_of("score_bias", seen, list(biases))

    def build(m: Writer) -> str:
        total = m.number(0.0)
        for i, bias in enumerate(biases):
            total = m.op("Add", total, bias) if i else bias
        return m.op("Where", seen, total, m.number(LOWEST))

    return build(w) if any(value.startswith(LOCAL) for value in (seen, *biases)) else w.shared(key, build)


# Far below any score, far above the overflow of fp16 (-65504): a row that sees nothing stays finite.
LOWEST = -30000.0


class _Atoms:
    def __init__(self, m: Writer, rows: Rows, key_mask: str) -> None:
        self.m, self.rows, self.named, self.key_mask = m, rows, rows.named, key_mask
        total, new = m.length(rows.total), m.length(rows.new)
        self.total = m.shared(f"slots {rows.total}", lambda w: w.scalar(total))
        self.i = m.shared(f"query slots {rows.new} {rows.total}", lambda w: self._range(w, w.scalar(new), 1))  # (S, 1)
        self.j = m.shared(f"key slots {rows.total}", lambda w: self._range(w, self.total, 0))  # (1, T)

    def _range(self, w: Writer, count: str, axis: int) -> str:
        """The last `count` slots."""
        first = w.op("Sub", self.total, count)
        return w.op("Unsqueeze", w.op("Range", first, self.total, w.whole(1)), w.ints(axis))

    def of(self, mask: Mask) -> str:
        m, i, j = self.m, self.i, self.j
        if m.local and not holds(mask, "top_blocks"):  # the same in every layer
            key = key_of("seen", dict(mask), [self.rows.new, self.rows.total, dict(self.named)])
            return m.shared(key, lambda w: _Atoms(w, self.rows, self.key_mask).of(mask))
        match mask["type"]:
            case "random_blocks":
                return drawn_blocks(m, mask, i, j, self.total)
            case "top_blocks":
                if self.rows.scored is None:
                    m.refuse("blocks chosen by their scores here")
                return top_blocks(m, mask, self.rows.scored, i, j, self.key_mask)
            case "full":
                return m.op("Equal", j, j)
            case "causal":
                return m.op("LessOrEqual", j, i)
            case "self":
                return m.op("Equal", j, i)
            case "window":
                return self._window(mask)
            case "segment":
                start = m.op("Mul", m.op("Div", i, m.whole(mask["length"])), m.whole(mask["length"]))
                least = m.op("Sub", start, m.whole(mask.get("memory", 0)))
                return m.op("And", m.op("LessOrEqual", j, i), m.op("GreaterOrEqual", j, least))
            case "keys":
                return self._rows(mask["of"], j, queries=False)
            case "queries":
                return self._rows(mask["of"], i, queries=True)
            case "strided":
                return m.op("Equal", self._modulo(m.op("Sub", i, j), mask["stride"]), m.whole(0))
            case "fixed":
                block = m.whole(mask["block"])
                own = m.op("Equal", m.op("Div", i, block), m.op("Div", j, block))
                summary = m.whole(mask["block"] - mask["summary"])
                return m.op("Or", own, m.op("GreaterOrEqual", self._modulo(j, mask["block"]), summary))
            case "input":
                given = m.cast(self.named[mask["name"]], "bool")  # (B, S, T)
                return m.op("Unsqueeze", given, m.ints(1))
            case "label":
                new = m.op("Neg", m.length(self.rows.new))  # of all tokens the last ones ask
                queries = m.op("Slice", self.named[mask["queries"]], new, m.ints(1 << 62), m.ints(1))
                queries = m.op("Unsqueeze", queries, m.ints(1, 3))
                keys = m.op("Unsqueeze", self.named[mask["keys"]], m.ints(1, 2))
                equal = mask.get("compare", "equal") == "equal"
                return m.op("Equal", queries, keys) if equal else m.op("LessOrEqual", keys, queries)
            case "not":
                return m.op("Not", self.of(mask["of"]))
            case "and" | "or":
                first, *rest = (self.of(part) for part in mask["of"])
                for part in rest:
                    first = m.op("And" if mask["type"] == "and" else "Or", first, part)
                return first
            case "by_head":
                return self._by_head(mask)
            case "by_length":
                short = m.op("LessOrEqual", self.total, m.whole(mask["up_to"]))
                then = m.op("And", self.of(mask["then"]), short)  # there is no Where over bools
                return m.op("Or", then, m.op("And", self.of(mask["otherwise"]), m.op("Not", short)))
        m.refuse(f"mask {mask['type']!r}")

    def _by_head(self, mask: Mask) -> str:
        """Of each mask what its own head sees, or what all heads see: (H, S, T), or (B, H, S, T) where any has a B."""
        m = self.m
        whole = m.op("Mul", m.op("Add", self.i, self.j), m.whole(0))  # (S, T) of zeros: brings every head to this size
        full = m.op("Equal", whole, m.whole(0))
        heads, batch = [], ""
        for head, part in enumerate(mask["of"]):
            seen = m.op("And", self.of(part), full)
            if holds(part, "top_blocks", "random_blocks"):
                seen = m.op("Gather", seen, m.whole(head), axis=-3)
            elif input_names(part):
                seen = m.op("Gather", seen, m.whole(0), axis=-3)
            heads.append(m.op("Unsqueeze", seen, m.ints(-3)))
            if holds(part, "top_blocks") or input_names(part):
                batch = m.op("Concat", m.op("Shape", seen, start=0, end=1), m.ints(1, 1, 1), axis=0)
        if batch:
            heads = [m.cast(m.op("Expand", m.cast(seen, "int32"), batch), "bool") for seen in heads]
        return m.op("Concat", *heads, axis=-3)

    def _modulo(self, x: str, by: int) -> str:
        return self.m.op("Mod", x, self.m.whole(by))  # the sign of the divisor, as torch

    def _window(self, mask: Mask) -> str:
        m = self.m
        block, dilation = mask.get("block", 1), mask.get("dilation", 1)
        i, j = self.i, self.j
        if block > 1:
            i, j = m.op("Div", i, m.whole(block)), m.op("Div", j, m.whole(block))
        distance = m.op("Sub", i, j)  # in units
        tests: list[str] = []
        if dilation > 1:
            tests.append(m.op("Equal", self._modulo(distance, dilation), m.whole(0)))
            # The quotient rounded down; only multiples pass the test above, so rounding towards zero is the same.
            distance = m.op("Div", distance, m.whole(dilation))
        if mask.get("behind") is not None:
            tests.append(m.op("Less", distance, m.whole(mask["behind"])))
        if mask.get("ahead", 0) is not None:
            tests.append(m.op("GreaterOrEqual", distance, m.whole(-mask.get("ahead", 0))))
        seen = tests[0] if tests else self.of({"type": "full"})
        for test in tests[1:]:
            seen = m.op("And", seen, test)
        return seen

    def _rows(self, rows: Mask, at: str, *, queries: bool) -> str:
        m = self.m
        match rows["type"]:
            case "first":
                return m.op("Less", at, m.whole(rows["count"]))
            case "last":
                block, count = rows.get("block", 1), self.total
                if block > 1:  # blocks, the last of which may be short
                    at = m.op("Div", at, m.whole(block))
                    count = m.op("Div", m.op("Add", self.total, m.whole(block - 1)), m.whole(block))
                return m.op("GreaterOrEqual", at, m.op("Sub", count, m.whole(rows["count"])))
            case "at":
                picked = [m.op("Equal", at, m.whole(position)) for position in rows["positions"]]
                seen = picked[0] if picked else m.op("Less", at, m.whole(0))
                for one in picked[1:]:
                    seen = m.op("Or", seen, one)
                return seen
            case "rows_input" | "prefix":
                given = m.cast(self.named[rows.get("name", "prefix")], "bool")  # (B, T)
                if queries:  # of all tokens the last ones ask
                    given = m.op("Slice", given, m.op("Neg", m.length(self.rows.new)), m.ints(1 << 62), m.ints(1))
                return m.op("Unsqueeze", given, m.ints(1, 3) if queries else m.ints(1, 2))
        m.refuse(f"rows {rows['type']!r}")
