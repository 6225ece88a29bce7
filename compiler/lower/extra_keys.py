"""Keys of an attention besides those of its source: learned ones, another stack's, ones given at run time, a sink."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from compiler.ir.types import TensorType
from compiler.lower import compressed_past, terms
from compiler.lower.context import Scope
from compiler.lower.pointwise import linear, norm


@dataclass
class Extra:
    """What the attention node gets: inputs by threes (keys, values, mask or absent), parameters, fields, biases."""

    values: list[str] = field(default_factory=list)
    params: dict[str, str] = field(default_factory=dict)
    fields: dict[str, Any] = field(default_factory=dict)
    biases: list[tuple[str, str]] = field(default_factory=list)

    def add(self, kind: str, keys_values: list[str], mask: str = "") -> None:
        self.fields["extra"] = [*self.fields.get("extra", []), kind]
        self.values += [*keys_values, mask]


def extra_keys(s: Scope, op: Any, h: str, q: str, homes: Mapping[str, str], home: str, at: str) -> Extra:
    """All extra keys of an attention over the branch input h. q: the query as the position terms met it; homes: where
    the projections of keys and values live."""
    extra = Extra()
    for keys in op.extra_keys:
        match keys.type:
            case "sink":
                if extra.params:
                    s.refuse("two sinks", at)
                extra.params["sink"] = f"{s.owner(f'{home}.sink', keys.weights)}.weight"
                extra.fields["sink"] = True
            case "learned":
                _learned(s, op, keys, h, home, at, extra)
            case "stream":
                _stream(s, op, keys, homes, home, at, extra)
            case "external":
                _external(s, op, keys, at, extra)
            case "compressed_past":
                _compressed(s, op, keys, q, homes, home, at, extra)
            case "zeros":
                _zeros(s, op, q, home, at, extra)
            case _:
                s.refuse(f"extra keys {keys.type!r}", at)
    return extra


def _learned(s: Scope, op: Any, keys: Any, h: str, home: str, at: str, extra: Extra) -> None:
    earlier = extra.fields.get("extra", []).count("learned")
    path = s.owner(f"{home}.learned" + (f"_{earlier + 1}" if earlier else ""), keys.weights)
    made = []
    for role, width in (("k", op.d_head), ("v", op.d_value)):
        x = s.b.node(
            "latents", h, at=f"{at}.learned.{role}", params={"weight": f"{path}.{role}.weight"}, kind="embedding",
            count=keys.count, width=op.n_kv_heads * width,
        )  # fmt: skip
        made.append(s.b.node("split_heads", x, at=f"{at}.learned.{role}.heads", heads=op.n_kv_heads))
    extra.add("learned", made)


def _stream(s: Scope, op: Any, keys: Any, homes: Mapping[str, str], home: str, at: str, extra: Extra) -> None:
    """Rows of another stack or stream through the same projections."""
    if op.position or keys.mask.type != "full":
        s.refuse("keys of a stream beside positions or under a mask", at)
    own = keys.name in s.before
    x = s.before[keys.name] if own else s.capture(keys.name)
    pooled = s.pooled.get(keys.name, ()) if own else ()
    mask = s.capture_of("attention_mask" if own else f"{keys.name}.attention_mask", pooled)
    if keys.norm is not None:
        x = norm(s, keys.norm, x, f"{home}.{keys.name}_norm", f"{at}.{keys.name}.norm")
    made = []
    for role, width in (("k", op.d_head), ("v", op.d_value)):
        y = linear(s, x, op.n_kv_heads * width, f"{homes[role]}.{role}", f"{at}.{keys.name}.{role}", role in op.bias)
        y = s.b.node("split_heads", y, at=f"{at}.{keys.name}.{role}.heads", heads=op.n_kv_heads)
        if role == "k" and op.qk_norm is not None:
            if op.qk_norm.scope != "head":
                s.refuse("keys of a stream under a qk_norm that is not by head", at)
            y = norm(s, op.qk_norm.norm, y, f"{home}.k_norm", f"{at}.{keys.name}.k_norm")
        made.append(y)
    extra.add("stream" if own else "stack", made, mask)


def _compressed(
    s: Scope, op: Any, keys: Any, q: str, homes: Mapping[str, str], home: str, at: str, extra: Extra
) -> None:
    """Slots of tokens that left the memory, as `compressed_past.begin` made them."""
    made = compressed_past.keys_values(s, op, homes, home, at)
    extra.add("compressed", made, s.memory["real"])
    extra.fields["compressed"] = compressed_past.extent(keys)
    extra.biases += [(value, "extra") for value in terms.scores(s, op, q, made[0], home, f"{at}.slots")]


def _zeros(s: Scope, op: Any, q: str, home: str, at: str, extra: Extra) -> None:
    """Rows of zeros before the first token, as `zero_keys.begin` made them."""
    extra.add("zeros", [s.memory["keys"], s.memory["values"]], s.memory["seen"])
    extra.biases += [(value, "extra") for value in terms.scores(s, op, q, s.memory["keys"], home, f"{at}.zeros")]


def _external(s: Scope, op: Any, keys: Any, at: str, extra: Extra) -> None:
    """Keys as they enter the scores: at position zero a rotation turns nothing; with own positions they come turned.

    Layers that name the same input see the same keys. A caller may leave them out: there are none then.
    """
    if any(term.type != "rope" for term in op.position):
        s.refuse("keys given at run time beside positions other than rotary ones", at)
    made = []
    for role, width in (("keys", op.d_head), ("values", op.d_value)):
        name, type_ = f"{keys.name}_{role}", TensorType("float", ("B", op.n_kv_heads, f"S_{keys.name}", width))
        if name not in s.outer.types:
            s.outer.offer(name, s.outer.main.input(name, type_), type_)
            s.outer.optional[name] = "empty"
            s.outer.ids[name] = next(iter(s.outer.main.inputs))
        made.append(s.capture(name))
    extra.add("external", made)
