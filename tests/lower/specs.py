"""Small random specs for property tests: whatever the dense part of the language can combine."""

from typing import Any

from hypothesis import strategies as st

D = 16  # d_model


def norms(eps: float = 1e-5) -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries(
        {"type": st.sampled_from(["rms", "layer"]), "eps": st.just(eps)},
        optional={
            "gain": st.sampled_from(["weight", "one_plus", "none"]),
            "eps_at": st.sampled_from(["inside", "outside"]),
            "bias": st.booleans(),
        },
    )


def maybe(strategy: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.none() | strategy


MASKS: st.SearchStrategy[Any] = st.sampled_from(
    [
        "causal",
        "full",
        {"type": "and", "of": ["causal", {"type": "window", "behind": 3}]},
        {"type": "segment", "length": 3, "memory": 2},
        {"type": "or", "of": ["self", {"type": "and", "of": ["causal", {"type": "strided", "stride": 2}]}]},
    ]
)


@st.composite
def positions(draw: st.DrawFn, d_head: int) -> list[dict[str, Any]]:
    kind = draw(st.sampled_from(["none", "rope", "rope", "rope", "alibi", "relative_bias"]))
    if kind == "rope":
        dims = draw(st.sampled_from([d for d in (2, 4, 8) if d <= d_head]))
        offset = draw(st.sampled_from([0, d_head - dims]))
        pairing = draw(st.sampled_from(["half", "interleaved"]))
        rotates = draw(st.sampled_from([["q", "k"], ["q", "k"], ["q"]]))
        return [{"type": "rope", "theta": 100, "dims": dims, "offset": offset, "pairing": pairing, "rotates": rotates}]
    if kind == "alibi":
        return [{"type": "alibi"}]
    if kind == "relative_bias":
        return [{"type": "relative_bias", "distance": {"type": "clip", "left": 3, "right": 2}}]
    return []


@st.composite
def attentions(draw: st.DrawFn) -> dict[str, Any]:
    heads, kv_heads, d_head = draw(st.sampled_from([(4, 4, 4), (4, 2, 4), (2, 1, 8), (3, 3, 4)]))
    op: dict[str, Any] = {
        "type": "attention", "n_heads": heads, "n_kv_heads": kv_heads, "d_head": d_head, "mask": draw(MASKS),
        "position": draw(positions(d_head)), "bias": draw(st.sampled_from([[], ["q", "k", "v"], ["q", "v"], ["o"]])),
        "d_value": draw(st.sampled_from([d_head, d_head, 6])),
    }  # fmt: skip
    if op["position"] != [{"type": "alibi"}]:  # it leaves a constant of each row open
        op |= draw(st.fixed_dictionaries({}, optional={"softcap": st.just(30.0), "extra_keys": st.just(["sink"])}))
    if draw(st.booleans()):
        scope, at = draw(st.sampled_from([("head", "before_position"), ("head", "after_position"),
                                          ("width", "before_position")]))  # fmt: skip
        op["qk_norm"] = {"norm": draw(norms()), "scope": scope, "at": at}
    if draw(st.integers(0, 3)) == 0:
        op["scale"] = 0.3
    return op


@st.composite
def mlps(draw: st.DrawFn) -> dict[str, Any]:
    activation = draw(st.sampled_from(["silu", "gelu", "gelu_tanh", "relu", "identity"]))
    op: dict[str, Any] = {
        "type": draw(st.sampled_from(["mlp", "gated_mlp", "gated_mlp"])),
        "d_ff": 12,
        "activation": activation,
    }
    allowed = ["up", "down"] if op["type"] == "mlp" else ["gate", "up", "down"]
    op["bias"] = draw(st.sampled_from([[], allowed, ["up"]]))
    op["inner_norm"] = draw(maybe(norms()))
    if op["type"] == "gated_mlp":
        op["clamp"] = draw(st.sampled_from([None, None, None, 4.0]))
        op["up_offset"] = draw(st.sampled_from([0, 0, 0, 1]))
    return {name: value for name, value in op.items() if value is not None}


@st.composite
def branches(draw: st.DrawFn, op: dict[str, Any]) -> dict[str, Any]:
    branch: dict[str, Any] = {"op": op}
    for place in ("pre_norm", "out_norm", "sum_norm"):
        if (norm := draw(maybe(norms()))) is not None:
            branch[place] = norm
    if draw(st.integers(0, 2)) == 0:
        branch["residual"] = {"type": "add", "keep": draw(st.sampled_from([1, 0.5])), "scale": 0.25}
    return branch


@st.composite
def bodies(draw: st.DrawFn) -> list[dict[str, Any]]:
    attention, mlp = draw(branches(draw(attentions()))), draw(branches(draw(mlps())))
    if draw(st.integers(0, 3)) == 0:
        step: dict[str, Any] = {"parallel": [attention, mlp]}
        if (norm := draw(maybe(norms()))) is not None:
            step["pre_norm"] = norm
            attention.pop("pre_norm", None)
            mlp.pop("pre_norm", None)
        return [step]
    return [attention, mlp]


@st.composite
def specs(draw: st.DrawFn) -> dict[str, Any]:
    """A decoder or encoder of up to two distinct layers over a vocabulary of 11."""
    blocks = {name: draw(bodies()) for name in draw(st.sampled_from([["a"], ["a", "b"]]))}
    token = {"type": "tokens", "weights": "/vocab", "scale": draw(st.sampled_from([1, 4]))}
    parts = [token, *draw(st.sampled_from([[], [{"type": "learned", "size": 32}]]))]
    stack: dict[str, Any] = {
        "d_model": D, "input": {"sum": parts}, "blocks": blocks,
        "layers": [{"repeat": draw(st.integers(1, 2)), "of": list(blocks)}],
    }  # fmt: skip
    if (norm := draw(maybe(norms()))) is not None:
        stack["final_norm"] = norm
    spec: dict[str, Any] = {"archspec": 1, "name": "random", "vocab_size": 11, "max_length": 32,
                            "stacks": {"decoder": stack}}  # fmt: skip
    if draw(st.booleans()):
        logits: dict[str, Any] = {"type": "linear", "scale": draw(st.sampled_from([1, 0.5]))}
        if draw(st.booleans()):
            logits["weights"] = "/vocab"
        spec["head"] = {"logits": logits}
    return spec
