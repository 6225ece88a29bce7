"""Small random specs over the whole language, drawn from the declared types themselves: a new op, norm, mask or field
is drawn as soon as it is declared.

Sizes come from small pools by field, so that heads divide and blocks fit more often than not; what still breaks a rule
is for the caller to throw away.
"""

import json
from collections.abc import Callable, Mapping
from types import UnionType
from typing import Any, Union, get_args, get_origin

from hypothesis import strategies as st

from archspec.spec import attention, masks, mixers, mlp, norms, positions, steps
from archspec.spec.attention import Attention
from archspec.spec.inputs import Input
from archspec.spec.node import Choice, Node, Number
from archspec.spec.norms import Norm
from archspec.spec.steps import Branch
from archspec.spec.tree import Head
from archspec.spec.walk import number_fields

D, VOCAB, LENGTH = 16, 11, 7  # width, ids, tokens that the check runs
Draw = Callable[[st.SearchStrategy[Any]], Any]

NUMBERS: Mapping[str, list[Any]] = {
    "n_heads": [4, 4, 4, 2], "n_kv_heads": ["=n_heads", "=n_heads/2", 1], "d_head": [8, 4], "d_value": [4, 6],
    "d_key": [4], "d_nope": [4], "d_rope": [2, 4], "kv_rank": [6], "q_rank": [5], "d_ff": [12], "d_inner": [D, 24],
    "d_state": [3], "d_conv": [2, 4], "dt_rank": [2], "n_groups": [1, 2], "groups": [2, 4], "width": [D],
    "dims": [2, 4], "offset": [0, 0, 0, 2], "theta": [100], "n_experts": [4], "top_k": [1, 2], "keep": [1, 0.5],
    "count": [1, 2], "block": [2, 3, 4], "length": [LENGTH], "rank": [3], "behind": [1, 3], "ahead": [0, 2],
    "dilation": [1, 2], "stride": [2, 3], "summary": [1, 2], "up_to": [4, 40], "kernel": [3], "chunk": [4],
    "buckets": [4], "rounds": [1, 2], "factor": [2.0, 1.5], "max": [8], "original_length": [8], "decay_base": [16.0],
    "features": [6], "hidden": [8], "order": [3], "size": [VOCAB], "rate": [0.9, "=1-2**(-1-head)", "=1/(2+layer)"],
    "eps": [1e-05, 1e-06, 0.1], "softcap": [3.0], "clamp": [0.5, 8], "per_expert": [3], "fraction": [0.5],
    "segment": [4], "slots": [2], "after": [4], "divide": [2], "keep_first": [True], "pad_id": [1], "memory": [0, 2],
    "coarsest": [2, 4], "identity_experts": [2, 4], "scale": [1, 0.5, "=1/(layer+1)"],
    "gain": [1.5], "above": [0.2], "seed": [0, 3],
}  # fmt: skip

# The same name means another thing there.
OF_CLASS: Mapping[tuple[type[Node], str], list[Any]] = {
    (mlp.Groups, "keep"): [1], (mlp.Groups, "count"): [2], (attention.CompressedPast, "rate"): [2],
    (attention.CompressedPast, "segment"): [2], (attention.CompressedPast, "after"): [2],
    (masks.Segment, "length"): [3, 2], (masks.Segment, "memory"): [2, 0],
    (mixers.Ssd, "n_heads"): [4], (mixers.Ssd, "d_head"): [8],
    (mixers.Compress, "block"): [4, 2], (mixers.Compress, "stride"): [2], (mixers.Select, "block"): [2, 4],
    (positions.ByLengthScaling, "short"): [[1.0, 2.0]], (positions.ByLengthScaling, "long"): [[2.0, 3.0]],
    (mixers.HierarchicalAttention, "block"): [2, 4], (mixers.GatedDecay, "divide"): [1, 16],
    (norms.LinearMap, "width"): [D],
}  # fmt: skip
ALWAYS = ((mixers.Ssd, "d_head"), (mixers.Ssd, "n_heads"), (positions.Rope, "dims"))
RARE = ("key_map", "own_projections", "extra_keys", "capacity", "qk_norm", "clamp", "up_offset", "empty_rows")

# Fields that need something else in the spec, or are drawn by their owner.
LEFT: Mapping[type[Node], tuple[str, ...]] = {
    Attention: ("source", "axis"), Branch: ("read", "write", "name", "rows"), Input: ("name", "positions"),
    positions.Rope: ("ids",), masks.RandomBlocks: ("outside",),
}  # fmt: skip
# Alternatives that stand for something outside a single stack of tokens.
NOT_DRAWN = (
    masks.SegmentNamed,
    mlp.RandomChoice,
    masks.Sees,
    masks.Label,
    steps.Resample,
    steps.Replace,
    attention.StreamKeys,
)
IDS = "token_type_ids"
NAMES: Mapping[str, list[str]] = {"ids": [IDS]}
SELDOM = 3  # an optional field is given one time in SELDOM


class Drawing:
    """One document in the making: `shared` names in use, how deep masks nest."""

    def __init__(self, draw: st.DrawFn) -> None:
        self.draw = draw

    def pick(self, options: list[Any]) -> Any:
        return self.draw(st.sampled_from(options))

    def node(self, cls: type[Node], depth: int = 0) -> dict[str, Any]:
        """An object of this class: required fields, and some of the others."""
        cls.model_rebuild()  # names that the class was declared with as text
        found: dict[str, Any] = {}
        left = LEFT.get(cls, ())
        for name, info in cls.model_fields.items():
            if name in left:
                continue
            if name == "type":
                found[name] = get_args(info.annotation)[0]
            elif name == "weights":
                continue
            elif (
                info.is_required()
                or (cls, name) in ALWAYS
                or self.draw(st.integers(1, 3 * SELDOM if name in RARE else SELDOM)) == 1
            ):
                value = self.field(cls, name, depth)
                if value is not None:
                    found[name] = value
        return _sense(cls, found)

    def field(self, cls: type[Node], name: str, depth: int) -> Any:
        info, number = cls.model_fields[name], number_fields(cls).get(name)
        if (cls, name) in OF_CLASS:
            return self.pick(OF_CLASS[cls, name])
        if cls is masks.ByHead:
            return [self.chosen(MASK, masks.Mask, 2) for _ in range(4)]
        if name == "position" and cls is not Attention:  # the others have no scores to add to
            return [self.node(positions.Rope)]
        return self.value(name, info.annotation, tuple(info.metadata), number, depth)

    def value(self, name: str, annotation: Any, metadata: tuple[Any, ...], number: Number | None, depth: int) -> Any:
        """A value of this type; None where the field is better left out."""
        choice = next((m for m in metadata if isinstance(m, Choice)), None)
        if choice is not None:
            return self.chosen(choice, annotation, depth)
        if inner := getattr(annotation, "__metadata__", None):
            return self.value(name, get_args(annotation)[0], tuple(inner), number, depth)
        origin, args = get_origin(annotation), get_args(annotation)
        if origin is tuple:
            least = 1 if name in ("of", "sum", "parallel", "positions", "terms") else 0
            if args[-1] is not Ellipsis:
                return [self.value(name, arg, (), number, depth) for arg in args]
            items = [self.value(name, args[0], (), number, depth) for _ in range(self.draw(st.integers(least, 2)))]
            return [item for i, item in enumerate(items) if item is not None and item not in items[:i]]
        options = [arg for arg in args if arg is not type(None)]
        if origin in (Union, UnionType) and len(options) == 1:
            return self.value(name, options[0], (), number, depth)
        if number is not None:
            return self.pick(NUMBERS.get(name, [1, 2] if number.whole else [0.5, 1.0, 2.0]))
        if isinstance(annotation, type) and issubclass(annotation, Node):
            return self.node(annotation, depth)
        if annotation is bool:
            return self.draw(st.booleans())
        if annotation is str:
            return self.pick(NAMES.get(name, [f"given_{name}"]))
        if args and all(isinstance(arg, str) for arg in args):  # a Literal
            return self.pick(list(args))
        raise TypeError(f"{name}: {annotation} is not drawn yet")

    def chosen(self, choice: Choice, annotation: Any, depth: int) -> Any:
        options = [cls for cls in choice.options(annotation).values() if cls not in NOT_DRAWN]
        if not options:
            return None
        if choice.what == "mask" and depth >= 2:
            options = [masks.Causal, masks.Window, masks.Self, masks.Full]
        if choice.what == "op":
            raise AssertionError("ops are drawn by branch")
        return self.node(self.pick(options), depth + 1)

    def branch(self, op: type[Node], depth: int = 0) -> dict[str, Any]:
        """A branch around an operator of this class, its norms, gate and residual drawn."""
        found: dict[str, Any] = {"op": self.node(op, depth)}
        for name, info in Branch.model_fields.items():
            if name == "op" or name in LEFT[Branch]:
                continue
            if self.draw(st.integers(1, SELDOM)) == 1:
                found[name] = self.value(name, info.annotation, tuple(info.metadata), None, depth)
        if found.get("residual", {}).get("of") == "pre_norm":
            found.setdefault("pre_norm", self.node(self.pick(NORMS)))
        return {name: value for name, value in found.items() if value is not None}


def _sense(cls: type[Node], found: dict[str, Any]) -> dict[str, Any]:
    """The same without some of what the language's rules refuse."""
    extra, kinds = found.get("extra_keys", ()), [term["type"] for term in found.get("position", ())]
    if any(keys["type"] == "compressed_past" for keys in extra):
        found |= {"mask": {"type": "segment", "length": 2, "memory": 2}, "position": []}
        found["extra_keys"] = [keys for keys in extra if keys["type"] != "zeros"]
    if cls is Attention and "key_map" in found:
        found |= {"mask": {"type": "full"}, "position": []}
    if "alibi" in kinds:
        found = {name: value for name, value in found.items() if name not in ("softcap", "extra_keys")}
    if cls is mixers.HierarchicalAttention:
        found.pop("mask", None)
    if cls is positions.RelativeSegments:
        found["ids"] = IDS
    if found.get("terms") == ["u_k"]:
        found["terms"] = ["u_k", "q_r"]
    return found


def _options(annotation: Any) -> list[type[Node]]:
    """The classes of a union as the types declare it."""
    choice = next(m for m in annotation.__metadata__ if isinstance(m, Choice))
    return [cls for cls in choice.options(get_args(annotation)[0]).values() if cls not in NOT_DRAWN]


MASK = next(m for m in masks.Mask.__metadata__ if isinstance(m, Choice))  # type: ignore[attr-defined]
OPS = _options(steps.Op)
CHANNEL_MIXERS = [cls for cls in OPS if cls.__module__.endswith(".mlp")]
TOKEN_MIXERS = [cls for cls in OPS if cls not in CHANNEL_MIXERS]
NORMS = _options(Norm)


@st.composite
def documents(draw: st.DrawFn) -> dict[str, Any]:
    """A decoder (sometimes reading an encoder) of up to two kinds of layers over a vocabulary of 11."""
    d = Drawing(draw)
    two = draw(st.integers(0, 4)) == 0
    stacks = {"encoder": _stack(d, ())} if two else {}
    decoder = _stack(d, ("encoder",) if two else ())
    if two:  # ids of its own
        decoder = json.loads(json.dumps(decoder).replace(IDS, f"decoder_{IDS}"))
    stacks["decoder"] = decoder
    document: dict[str, Any] = {
        "archspec": 1, "name": "drawn", "vocab_size": VOCAB, "max_length": 32, "stacks": stacks, "output": "decoder",
    }  # fmt: skip
    if draw(st.booleans()):
        document["head"] = {"logits": {"type": "linear", "bias": draw(st.booleans()), "softcap": draw(
            st.sampled_from([None, 5.0])), "scale": draw(st.sampled_from([1, 0.5]))}}  # fmt: skip
        if document["head"]["logits"]["softcap"] is None:
            del document["head"]["logits"]["softcap"]
        if draw(st.integers(0, 3)) == 0:
            document["head"]["read"] = draw(st.sampled_from(list(get_args(Head.model_fields["read"].annotation))))
    return document


def _stack(d: Drawing, sources: tuple[str, ...]) -> dict[str, Any]:
    blocks = {name: _body(d, sources) for name in d.pick([["a"], ["a"], ["a", "b"]])}
    parts = d.pick([["tokens"], ["tokens", "sinusoid"], ["tokens", {"type": "learned", "size": 32}],
                    ["tokens", {"type": "token_types", "size": 2, "name": IDS}]])  # fmt: skip
    stack: dict[str, Any] = {
        "d_model": D, "input": {"sum": parts}, "blocks": blocks,
        "layers": [{"repeat": d.pick([1, 2]), "of": list(blocks)}],
    }  # fmt: skip
    if sources:  # two stacks of tokens: each has ids of its own
        stack["input"]["sum"] = [{"type": "tokens", "name": "decoder_input_ids"}, *parts[1:]]
    if d.draw(st.booleans()):
        stack["final_norm"] = d.node(d.pick(NORMS))
    if d.draw(st.integers(0, 7)) == 0:
        _pool(d, stack, sources)
    return stack


def _pool(d: Drawing, stack: dict[str, Any], sources: tuple[str, ...]) -> None:
    """All layers over pooled rows, which are widened again."""
    stride, first = d.pick([2, 3]), d.draw(st.booleans())
    keep = {"read": "x", "write": "kept", "op": "identity", "residual": "replace"}
    pool = {"resample": {"type": "mean_pool", "stride": stride, "keep_first": first}}
    widen = {"resample": {"type": "repeat", "factor": stride, "keep_first": first}}
    stack["streams"] = {"x": "text", "kept": "zero"}
    inside = _body(d, sources) if d.draw(st.booleans()) else []
    stack["blocks"] |= {"pool": [keep, pool, *inside], "widen": [widen, {"read": "kept", "op": "identity"}]}
    stack["layers"] = ["pool", *stack["layers"], "widen"]


def _body(d: Drawing, sources: tuple[str, ...]) -> list[dict[str, Any]]:
    steps_: list[dict[str, Any]] = [d.branch(d.pick(TOKEN_MIXERS if d.draw(st.booleans()) else [Attention]))]
    if sources:
        cross = d.branch(Attention)
        cross["op"] |= {"source": sources[0], "mask": "full"}
        for field, apart in (
            ("position", ("temperature", "bias_where")),
            ("extra_keys", ("learned", "sink", "external")),
        ):
            cross["op"][field] = [one for one in cross["op"].get(field, ()) if one["type"] in apart]
        steps_.append(cross)
    if d.draw(st.integers(0, 5)):
        steps_.append(d.branch(d.pick(CHANNEL_MIXERS)))
    if len(steps_) > 1 and d.draw(st.integers(0, 4)) == 0:
        steps_ = [{"parallel": steps_}]
        if d.draw(st.booleans()):
            steps_[0]["pre_norm"] = d.node(d.pick(NORMS))
    return steps_
