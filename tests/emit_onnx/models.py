"""Tiny specs of many kinds, their weights, and how to run an emitted folder."""

from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime as ort
import torch

from archspec.spec import load_spec, resolve
from compiler.emit.onnx import Emission, emit
from compiler.ir.program import Program
from compiler.lower.program import lower
from compiler.pipeline import run
from compiler.verify.interpreter import interpret
from compiler.verify.pack import pack

torch.set_num_threads(1)

RMS = {"type": "rms", "eps": 1e-5}
LAYER = {"type": "layer", "eps": 1e-5}
MLP = {"type": "mlp", "d_ff": 96, "activation": "gelu_tanh", "bias": ["up", "down"]}
GATED = {"type": "gated_mlp", "d_ff": 96, "activation": "silu"}
ALL = ["q", "k", "v", "o"]


def attention(**fields: Any) -> dict[str, Any]:
    return {"type": "attention", "n_heads": 4, "mask": "causal"} | fields


def decoder(
    op: dict[str, Any],
    mlp: dict[str, Any] = GATED,
    norm: dict[str, Any] = RMS,
    parts: list[Any] | None = None,
    tied: bool = False,
    d_model: int = 64,
    branch: dict[str, Any] | None = None,
    **more: Any,
) -> dict[str, Any]:
    """A plain decoder of three layers."""
    tokens = {"type": "tokens", "weights": "/vocab"} if tied else "tokens"
    logits = {"type": "linear", "weights": "/vocab"} if tied else "linear"
    steps = [{"pre_norm": norm, "op": op} | (branch or {}), {"pre_norm": norm, "op": mlp}]
    stack = {"d_model": d_model, "input": {"sum": [tokens, *(parts or [])]}, "blocks": {"main": steps},
             "layers": [{"repeat": 3, "of": ["main"]}], "final_norm": norm}  # fmt: skip
    return {"archspec": 1, "name": "tiny", "vocab_size": 97, "max_length": 64, "stacks": {"decoder": stack},
            "head": {"logits": logits}} | more  # fmt: skip


def encoder(positions: Any = "index", norm: dict[str, Any] = LAYER) -> dict[str, Any]:
    op = {"type": "attention", "n_heads": 4, "bias": ALL}
    mlp = {"type": "mlp", "d_ff": 96, "activation": "gelu", "bias": ["up", "down"]}
    given = {"sum": ["tokens", {"type": "token_types", "size": 2}, {"type": "learned", "size": 66}], "then": [norm],
             "positions": positions}  # fmt: skip
    steps = [{"op": op, "sum_norm": norm}, {"op": mlp, "sum_norm": norm}]
    stack = {"d_model": 64, "input": given, "blocks": {"main": steps}, "layers": [{"repeat": 2, "of": ["main"]}]}
    return {"archspec": 1, "name": "tiny-encoder", "vocab_size": 97, "max_length": 64, "stacks": {"encoder": stack}}


def encoder_decoder() -> dict[str, Any]:
    """Two stacks: one table of biases for all layers of a stack, cross attention, a tied and scaled head."""
    tokens = {"type": "tokens", "weights": "/vocab"}
    buckets = {"type": "log_buckets", "buckets": 8, "max": 20}
    mlp = {"type": "mlp", "d_ff": 96, "activation": "relu"}

    def heads(name: str, distance: dict[str, Any], **more: Any) -> dict[str, Any]:
        return attention(scale=1, position=[{"type": "relative_bias", "weights": name, "distance": distance}], **more)

    source = [heads("/encoder_bias", buckets, mask="full"), mlp]
    target = [heads("/decoder_bias", buckets | {"sides": 1}), attention(mask="full", source="encoder", scale=1), mlp]
    stacks = {
        name: {"d_model": 64, "input": given, "blocks": {"main": [{"pre_norm": RMS, "op": op} for op in body]},
               "layers": [{"repeat": 2, "of": ["main"]}], "final_norm": RMS}
        for name, given, body in (
            ("encoder", {"sum": [tokens]}, source),
            ("decoder", {"name": "target", "sum": [tokens | {"name": "decoder_input_ids"}]}, target),
        )
    }  # fmt: skip
    head = {"logits": {"type": "linear", "weights": "/vocab", "scale": "=1/sqrt(d_model)"}}
    return {"archspec": 1, "name": "tiny-pair", "vocab_size": 97, "max_length": 64, "stacks": stacks, "head": head}


WINDOW = {"type": "window", "behind": 3}
LLAMA3 = {"type": "llama3", "factor": 8.0, "low": 1.0, "high": 4.0, "original_length": 16}
ROPE = [{"type": "rope"}]

SPECS: dict[str, dict[str, Any]] = {
    "llama": decoder(attention(n_kv_heads=2, position=ROPE), tied=True),
    "llama with scaling": decoder(attention(n_kv_heads=2, position=[{"type": "rope", "scaling": LLAMA3}])),
    "gpt2": decoder(attention(bias=ALL), MLP, LAYER, [{"type": "learned", "size": 64}], tied=True),
    "mistral with window": decoder(
        attention(n_kv_heads=2, mask={"type": "and", "of": ["causal", WINDOW]}, position=ROPE)
    ),
    "qwen2 with biases": decoder(attention(n_kv_heads=2, bias=["q", "k", "v"], position=ROPE)),
    "qwen3 with qk norms": decoder(
        attention(n_kv_heads=2, position=ROPE, qk_norm={"norm": RMS, "scope": "head", "at": "before_position"})
    ),
    "odd heads": decoder(attention(n_heads=2, d_head=12, position=ROPE)),
    "partial rotation": decoder(attention(position=[{"type": "rope", "dims": 8, "pairing": "interleaved"}])),
    "shifted rotation": decoder(attention(position=[{"type": "rope", "dims": 8, "offset": 4}])),
    "softcap, one_plus": decoder(
        attention(softcap=5.0, position=ROPE), GATED | {"activation": "gelu_tanh"}, RMS | {"gain": "one_plus"}
    ),
    "alibi": decoder(attention(position=["alibi"]), MLP, LAYER),
    "relative bias under a softcap": decoder(
        attention(
            softcap=2.0,
            n_kv_heads=2,
            position=[{"type": "relative_bias", "distance": {"type": "clip", "left": 3, "right": 0}}],
        )
    ),
    "relative bias": decoder(
        attention(
            scale=1,
            position=[
                {
                    "type": "relative_bias",
                    "at": "before_scale",
                    "distance": {"type": "log_buckets", "buckets": 8, "max": 20, "sides": 1},
                }
            ],
        )
    ),
    "counted positions": decoder(attention(position=ROPE), MLP, LAYER, [{"type": "learned", "size": 64}]),
    "residual factors": decoder(
        attention(position=ROPE), branch={"residual": {"type": "add", "keep": 0.5, "scale": 2}}
    ),
    "sinusoid, parallel": decoder(attention(), MLP, LAYER, ["sinusoid"]),
    "last row": decoder(attention(position=ROPE), head={"read": "last", "logits": "linear"}),
    "mean row, hidden": decoder(attention(position=ROPE), head={"read": "mean", "then": [LAYER]}),
    "mixture of experts": decoder(
        attention(n_kv_heads=2, position=ROPE),
        {
            "type": "moe",
            "n_experts": 4,
            "expert": GATED | {"d_ff": 32},
            "router": {"top_k": 2, "weights": {"type": "sum_to_one"}},
        },
    ),
    "latent attention": decoder(
        {
            "type": "latent_attention",
            "n_heads": 4,
            "q_rank": 24,
            "kv_rank": 16,
            "d_nope": 12,
            "d_rope": 8,
            "d_value": 10,
            "rank_norm": RMS,
            "mask": "causal",
            "position": [{"type": "rope", "dims": 8}],
        }
    ),
    "encoder and decoder": encoder_decoder(),
    "bert": encoder(),
    "roberta": encoder({"type": "count_nonpad", "pad_id": 1}, LAYER | {"eps": 1e-12}),
}
SPECS["counted positions"]["stacks"]["decoder"]["input"]["positions"] = "count_mask"
_stack = SPECS["sinusoid, parallel"]["stacks"]["decoder"]
_stack["blocks"]["main"] = [{"parallel": [{"op": attention()}, {"op": MLP}], "pre_norm": LAYER}]
STEPLESS = ("bert", "roberta", "last row", "mean row, hidden", "encoder and decoder")


@cache
def program_of(name: str, passes: bool = False) -> Program:
    plain = lower(resolve(load_spec(SPECS[name])))
    return run(plain)[0] if passes else plain


@cache
def weights_of(name: str) -> dict[str, torch.Tensor]:
    """Drawn by path order, float64, of a size that gives attention something to choose."""
    return draw(program_of(name))


def draw(program: Program) -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(7)
    weights = {}
    for path, param in program.parameter_paths().items():
        noise = torch.randn(param.shape, generator=generator, dtype=torch.float64)
        near_one = len(param.shape) == 1 and path.endswith("norm.weight")
        weights[path] = 1 + 0.1 * noise if near_one else noise * (0.1 if len(param.shape) == 1 else 0.25)
    return weights


def export(name: str, folder: Path, passes: bool = False, runtime: str = "ort", **more: Any) -> Emission:
    program = program_of(name, passes)
    return emit(program, pack(program, weights_of(name)), folder, runtime=runtime, **more)


def open_model(folder: Path, name: str = "model.onnx") -> ort.InferenceSession:
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 3
    return ort.InferenceSession(str(folder / name), options, providers=["CPUExecutionProvider"])


def call(session: ort.InferenceSession, past: dict[str, Any] | None = None, **inputs: Any) -> dict[str, np.ndarray]:
    """Outputs by name. Inputs that are not given: masks of ones, zeros, an empty past."""
    lengths = {
        name.removesuffix("input_ids"): np.asarray(given).shape[1] for name, given in inputs.items() if "ids" in name
    }
    batch = len(inputs["input_ids"])
    feed = {k: np.asarray(v) for k, v in inputs.items()} | (past or {})
    for given in session.get_inputs():
        if given.name.startswith("past_key_values"):
            feed.setdefault(given.name, np.zeros((batch, given.shape[1], 0, given.shape[3]), np.float32))
        elif given.name.endswith("attention_mask"):
            length = lengths[given.name.removesuffix("attention_mask")]
            feed.setdefault(given.name, np.ones((batch, length), np.int64))
        else:
            feed.setdefault(given.name, np.zeros((batch, lengths[""]), np.int64))
    return dict(zip([o.name for o in session.get_outputs()], session.run(None, feed), strict=True))


def past_of(outputs: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    return {k.replace("present", "past_key_values"): v for k, v in outputs.items() if k.startswith("present")}


def reference(name: str, **inputs: Any) -> np.ndarray:
    """The interpreter's output in float64, on the program before the passes."""
    (out,) = interpret(program_of(name), weights_of(name), {k: torch.as_tensor(v) for k, v in inputs.items()}).values()
    return out.numpy()


def ids(batch: int, length: int, seed: int = 0) -> np.ndarray:
    """Random ids, none of them a padding id."""
    return np.random.default_rng(seed).integers(2, 97, (batch, length))


def padded(length: int) -> np.ndarray:
    """A mask for two rows, the first with padding on the left and on the right."""
    mask = np.ones((2, length), np.int64)
    mask[0, :3] = mask[0, -1] = 0
    return mask
