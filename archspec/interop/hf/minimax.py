"""MiniMax-Text-01: linear attention with a fixed decay in most layers, softmax attention in the others, and experts.

Defaults: transformers 5.23 `models/minimax/configuration_minimax.py` MiniMaxConfig; `block_size` cuts the sum into
blocks and means nothing. The residual is what the norm gave, times a factor.
"""

from dataclasses import replace
from typing import Any

from archspec.interop.hf import layer_windows, mixtral, moe_decoder, rms_decoder
from archspec.interop.hf.config import Config
from archspec.interop.hf.experts import Experts, read_count, read_top_k
from archspec.interop.hf.family import CannotSay, Family, HeadKind
from archspec.interop.hf.fused import qkv
from archspec.interop.hf.layout import entries
from archspec.interop.hf.moe_decoder import MoeDecoder
from archspec.interop.hf.reading import expect, keeping
from archspec.interop.hf.rms_decoder import STACK
from archspec.interop.recipe import Stored
from archspec.interop.tensor_map import TensorMap
from archspec.spec import Resolved
from archspec.spec.types import Add, Attention, Branch, LinearAttention

DEFAULTS = rms_decoder.Defaults(
    vocab_size=32000, d_ff=14336, max_length=4096 * 32, n_kv_heads=8, eps=1e-5, theta=1_000_000.0
)
KINDS = {"full_attention": "full", "linear_attention": "linear", "attention": "full"}
INNER_EPS = 1e-6  # the norm's own default, whatever `rms_norm_eps` says
DECAY = "=exp(-2**(-8*(head+1)/n_heads)*(1-layer/(n_layers-1+1e-5)+1e-5))"
FACTORS = {"full": "full_attn", "linear": "linear_attn", "mlp": "mlp"}


def read(config: Config) -> tuple[MoeDecoder, list[str]]:
    """The decoder as if every layer had softmax attention, and which kind each layer is."""
    window = None if config.get("sliding_window") is None else config.integer("sliding_window")
    n_layers = config.layers("num_hidden_layers", DEFAULTS.n_layers)
    decoder = rms_decoder.read(config, DEFAULTS, windows=(window,) * n_layers)
    count = read_count(config, "num_local_experts", 8, other="num_experts")
    experts = Experts(count, decoder.d_ff, read_top_k(config, count, 2), decoder.activation, normalised=True)
    default = ["linear_attention" if layer % 2 else "full_attention" for layer in range(n_layers)]
    types = layer_windows.read_types(config, n_layers, default, tuple(KINDS))
    return MoeDecoder(decoder, experts, (True,) * n_layers), [KINDS[kind] for kind in types]


def _residuals(config: Config) -> dict[str, dict[str, Any]]:
    return {
        kind: {
            "type": "add",
            "keep": config.number(f"{name}_alpha_factor", 1),
            "scale": config.number(f"{name}_beta_factor", 1),
            "of": "pre_norm",
        }
        for kind, name in FACTORS.items()
    }


def to_spec(config: Config, head: HeadKind) -> dict[str, Any]:
    m, kinds = read(config)
    out, residual = moe_decoder.spec(m, head), _residuals(config)
    decoder, stack = m.decoder, out["stacks"][STACK]
    attention, experts = stack["blocks"]["main"]
    linear = {
        "type": "linear_attention",
        "n_heads": decoder.n_heads,
        "d_key": decoder.d_head,
        "activation": decoder.activation,
        "decay": {"type": "fixed", "rate": DECAY},
        "inner_norm": {"norm": {"type": "rms", "eps": INNER_EPS}, "scope": "width"},
        "gate": {"type": "projected", "fn": "sigmoid"},
    }
    branch = {"pre_norm": decoder.norm, "op": linear, "residual": residual["linear"]}
    experts = experts | {"residual": residual["mlp"]}
    blocks: dict[str, Any] = {}
    if "full" in kinds:
        blocks["full"] = [attention | {"residual": residual["full"]}, experts]
    if "linear" in kinds:
        blocks["linear"] = {"like": "full", "set": {"/0": branch}} if blocks else [branch, experts]
    stack["blocks"] = blocks
    stack["layers"] = entries(kinds)
    return out


def tensors(config: Config, head: HeadKind) -> TensorMap:
    m, kinds = read(config)
    decoder = m.decoder
    found = moe_decoder.tensors(m, head, mixtral.NAMES)
    recipes = dict(found.recipes)
    for layer, kind in enumerate(kinds):
        if kind == "full":
            continue
        softmax, ours = f"{STACK}.{layer}.attention.", f"{STACK}.{layer}.linear_attention"
        theirs = f"model.layers.{layer}.self_attn"
        norm = recipes[f"{softmax}pre_norm.weight"]
        recipes = {path: recipe for path, recipe in recipes.items() if not path.startswith(softmax)}
        joined = qkv(f"{theirs}.qkv_proj.weight", groups=decoder.n_heads, per_group=1, d_head=decoder.d_head,
                     d_in=decoder.d_model)  # fmt: skip
        recipes |= {f"{ours}.{part}.weight": recipe for part, recipe in joined.items()}
        names = {"o": "out_proj", "gate": "output_gate", "inner_norm": "norm"}
        recipes |= {f"{ours}.{part}.weight": Stored(f"{theirs}.{name}.weight") for part, name in names.items()}
        recipes[f"{ours}.pre_norm.weight"] = norm
    # What follows from the configuration is stored too.
    unread = ("model.layers.*.self_attn.slope_rate", "model.layers.*.self_attn.*_decay")
    return replace(found, recipes=recipes, unread=(*found.unread, *unread))


def to_config(resolved: Resolved) -> dict[str, Any]:
    stack = resolved.stacks[resolved.output]
    if any(len(body) != 2 for body in stack.bodies):
        raise CannotSay("a layer is one attention and one mixture of experts")
    steps = [expect(Branch, stack.bodies[layer.body][0], "a step") for layer in stack.layers]
    if any(not isinstance(step.op, (Attention, LinearAttention)) for step in steps):
        raise CannotSay("a layer has softmax attention or linear attention")
    linear = [isinstance(step.op, LinearAttention) for step in steps]
    full = keeping(resolved, lambda layer: isinstance(_first(stack.bodies[layer.body]).op, Attention))
    decoder = moe_decoder.measured(full).decoder
    experts = moe_decoder.measured(full).experts
    if len(set(decoder.windows)) != 1:
        raise CannotSay("the same window in every layer of softmax attention")
    fields = rms_decoder.fields(decoder) | {
        "sliding_window": decoder.windows[0],
        "num_hidden_layers": len(linear),
        "layer_types": ["linear_attention" if is_linear else "full_attention" for is_linear in linear],
        "num_local_experts": experts.count,
        "num_experts_per_tok": experts.top_k,
        "intermediate_size": experts.d_ff,
    }
    branches = {
        "mlp": expect(Branch, stack.bodies[stack.layers[0].body][1], "a step"),
        "full": steps[linear.index(False)],
        **({"linear": steps[linear.index(True)]} if any(linear) else {}),
    }
    for kind, branch in branches.items():
        residual = expect(Add, branch.residual, "the residual")
        fields |= {
            f"{FACTORS[kind]}_alpha_factor": residual.keep,
            f"{FACTORS[kind]}_beta_factor": residual.scale,
        }
    return fields


def _first(body: Any) -> Branch:
    return expect(Branch, body[0], "a step")


FAMILY = Family(
    model_type="minimax",
    spec=to_spec,
    tensors=tensors,
    config=to_config,
    heads={"MiniMaxForCausalLM": "tokens", "MiniMaxModel": "none"},
    inert=frozenset(["block_size", "router_aux_loss_coef", "output_router_logits", "router_jitter_noise"]),
)
