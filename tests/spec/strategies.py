"""Random specs over much of the language, all of them valid."""

from typing import Any

from hypothesis import strategies as st

HEADS, D_HEAD, D_MODEL = 4, 8, 32
ACTIVATIONS = st.sampled_from(["relu", "gelu", "gelu_tanh", "silu"])

norms = st.one_of(
    st.sampled_from(["rms", "layer", "l2", "gain", {"type": "rms"}]),
    st.builds(lambda eps, gain: {"type": "rms", "eps": eps, "gain": gain},
              st.sampled_from([1e-6, 1e-5, 1]), st.sampled_from(["weight", "one_plus"])),
    st.builds(lambda bias: {"type": "layer", "bias": bias}, st.booleans()),
)  # fmt: skip

rows = st.one_of(
    st.builds(
        lambda kind, count: {"type": kind, "count": count}, st.sampled_from(["first", "last"]), st.integers(1, 8)
    ),
    st.sampled_from(["prefix", {"type": "rows_input", "name": "global_rows"}]),
)
mask_atoms = st.one_of(
    st.sampled_from(["full", "causal", "self", {"type": "causal"}]),
    st.builds(lambda behind, ahead: {"type": "window", "behind": behind, "ahead": ahead},
              st.one_of(st.none(), st.integers(1, 9)), st.integers(0, 3)),
    st.builds(lambda kind, of: {"type": kind, "of": of}, st.sampled_from(["keys", "queries"]), rows),
)  # fmt: skip
masks = st.recursive(
    mask_atoms,
    lambda inner: st.one_of(
        st.builds(
            lambda kind, of: {"type": kind, "of": of},
            st.sampled_from(["and", "or"]),
            st.lists(inner, min_size=1, max_size=3),
        ),
        st.builds(lambda of: {"type": "not", "of": of}, inner),
        st.builds(lambda a, b: {"type": "by_length", "up_to": 16, "then": a, "otherwise": b}, inner, inner),
    ),
    max_leaves=5,
)
ropes = st.builds(
    lambda theta, pairing, dims: {"type": "rope", "theta": theta, "pairing": pairing, "dims": dims},
    st.sampled_from([10000, 10000.0, 500000]), st.sampled_from(["half", "interleaved"]),
    st.sampled_from([4, "=d_head", "=d_head/2"]),
)  # fmt: skip


def optional(**fields: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    """Any subset of these fields."""
    return st.fixed_dictionaries({}, optional=fields)


attention = st.builds(
    lambda more: {"type": "attention", "n_heads": HEADS, "d_head": D_HEAD, **more},
    optional(
        n_kv_heads=st.sampled_from([1, 2, 4, "=n_heads/2"]), mask=masks, softcap=st.sampled_from([30, 50.0]),
        position=st.lists(st.one_of(ropes, st.sampled_from(["rope", "alibi"])), max_size=2),
        bias=st.lists(st.sampled_from("qkvo"), unique=True),
        scale=st.sampled_from([1, "=1/sqrt(d_head)", "=1/(layer+1)"]),
        gate=st.sampled_from(["projected", {"type": "learned", "fn": "tanh"}]), weights=st.sampled_from(["a", "/b"]),
    ),
).filter(lambda op: "softcap" not in op or "alibi" not in op.get("position", ()))  # fmt: skip
mlps = st.one_of(
    st.builds(lambda d_ff, act, more: {"type": "gated_mlp", "d_ff": d_ff, "activation": act, **more},
              st.sampled_from([64, "=2*d_model", 64.0]), ACTIVATIONS,
              optional(bias=st.lists(st.sampled_from(["up", "gate", "down"]), unique=True), clamp=st.just(7))),
    st.builds(lambda top_k, weights: {"type": "moe", "n_experts": 4, "router": {"top_k": top_k, "weights": weights},
                                      "expert": {"type": "mlp", "d_ff": 16, "activation": "relu"}},
              st.integers(1, 4), st.sampled_from(["as_scored", "sum_to_one", {"type": "sum_to_one", "eps": 0}])),
)  # fmt: skip
mixers = st.one_of(
    attention,
    st.sampled_from([
        "selective_scan",
        {"type": "linear_attention", "n_heads": 4, "decay": {"type": "fixed", "rate": "=1-2**(-5-head)"}},
        {"type": "latent_attention", "n_heads": 4, "kv_rank": 16, "d_nope": 8, "d_rope": 4, "d_value": 8},
    ]),
)  # fmt: skip


def branch(ops: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    return st.builds(
        lambda op, more: {"op": op, **more}, ops,
        optional(
            pre_norm=norms, sum_norm=norms, out_norm=norms, name=st.sampled_from(["mixer", "other"]),
            residual=st.sampled_from(["add", {"type": "add", "keep": "=(2*n_layers)**0.5"}]),
        ),
    )  # fmt: skip


def _unshared(blocks: dict[str, Any]) -> dict[str, Any]:
    """Only one shape may stand behind a shared name: the first attention keeps its name."""
    seen = False
    for steps in blocks.values():
        for step in steps:
            for item in step.get("parallel", [step]):
                if isinstance(item["op"], dict) and "weights" in item["op"]:
                    if seen:
                        del item["op"]["weights"]
                    seen = True
    return blocks


steps = st.one_of(
    branch(mixers), branch(mlps),
    st.builds(lambda a, b: {"parallel": [a, b]}, branch(mixers), branch(mlps)),
)  # fmt: skip


@st.composite
def documents(draw: st.DrawFn) -> dict[str, Any]:
    blocks = _unshared({name: draw(st.lists(steps, min_size=1, max_size=3)) for name in draw(
        st.lists(st.sampled_from(["main", "other", "third"]), min_size=1, max_size=3, unique=True))})  # fmt: skip
    names = st.sampled_from(sorted(blocks))
    entries = st.one_of(
        names,
        st.builds(
            lambda times, of: {"repeat": times, "of": of}, st.integers(1, 3), st.lists(names, min_size=1, max_size=2)
        ),
        st.builds(lambda block: {"block": block}, names),
    )
    document = {
        "archspec": 1, "vocab_size": 50, "max_length": 64,
        "stacks": {"decoder": {
            "d_model": D_MODEL, "input": {"sum": draw(st.sampled_from([["tokens"], ["tokens", "sinusoid"]]))},
            "blocks": blocks, "layers": draw(st.lists(entries, min_size=1, max_size=3)),
        }},
    }  # fmt: skip
    more = draw(optional(head=st.sampled_from([{}, {"logits": "linear"}, {"logits": {"type": "linear", "bias": True}}]),
                         name=st.just("drawn"), precision=st.sampled_from([{}, {"weights": "int8"}])))  # fmt: skip
    return {**document, **more}
