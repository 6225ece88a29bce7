"""Text that looks at images through gates: against transformers with copied weights and against flamingo-pytorch (a
frozen fixture), in both targets, in steps."""

from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from transformers import (
    IdeficsConfig,
    IdeficsForVisionText2Text,
)

from archspec import zoo
from archspec.spec import load_spec, resolve
from compiler.lower.program import lower
from tests.parity.cross import drawn, everywhere, fitted
from tests.parity.models import VOCAB, ids, redraw
from tests.parity.targets import frozen
from tests.zoo import renaming as r
from tests.zoo.shrink import resized, shrunk

torch.set_num_threads(1)


LAYERS, LOOKING = "model.layers.", "model.gated_cross_attn_layers."


def at_layer(mine: str, theirs: str) -> dict[str, r.Target]:
    """A parameter of a layer: of three in a row the first one looks at images, the two others read on."""

    def target(stored: r.Stored, match: Any) -> Tensor:
        layer = int(match[1])
        place = f"{LAYERS}{layer - layer // 3 - 1}" if layer % 3 else f"{LOOKING}{layer // 3}"
        name = match.expand(theirs)
        name = name.replace("self_attn.", "cross_attn.") if layer % 3 == 0 else name
        return stored[f"{place}.{name}"]

    return {rf"decoder\.(\d+)\.{mine}": target}


V = r"model.vision_model."
R = r"model.perceiver_resampler."
VISION: r.Table = {
    r"vision\.image\.patches\.weight": V + "embeddings.patch_embedding.weight",
    r"vision\.image\.patches\.class_token": V + "embeddings.class_embedding",
    r"vision\.image\.learned\.weight": V + "embeddings.position_embedding.weight",
    r"vision\.image\.then\.0\.(weight|bias)": V + r"pre_layrnorm.\1",
    r"vision\.(\d+)\.attention\.([qkv])\.(weight|bias)": V + r"encoder.layers.\1.self_attn.\2_proj.\3",
    r"vision\.(\d+)\.attention\.o\.(weight|bias)": V + r"encoder.layers.\1.self_attn.out_proj.\2",
    r"vision\.(\d+)\.attention\.pre_norm\.(weight|bias)": V + r"encoder.layers.\1.layer_norm1.\2",
    r"vision\.(\d+)\.mlp\.pre_norm\.(weight|bias)": V + r"encoder.layers.\1.layer_norm2.\2",
    r"vision\.(\d+)\.mlp\.up\.(weight|bias)": V + r"encoder.layers.\1.mlp.fc1.\2",
    r"vision\.(\d+)\.mlp\.down\.(weight|bias)": V + r"encoder.layers.\1.mlp.fc2.\2",
    r"resampler\.latents\.latents\.weight": R + "latents",
    r"resampler\.final_norm\.(weight|bias)": R + r"layer_norm.\1",
    r"resampler\.(\d+)\.attention\.([qkv])\.weight": R + r"blocks.\1.0.\2_proj.weight",
    r"resampler\.(\d+)\.attention\.o\.weight": R + r"blocks.\1.0.output_proj.weight",
    r"resampler\.(\d+)\.attention\.([qk])_norm\.(weight|bias)": R + r"blocks.\1.0.\2_layer_norm.\3",
    r"resampler\.(\d+)\.attention\.pre_norm\.(weight|bias)": R + r"blocks.\1.0.latents_layer_norm.\2",
    r"resampler\.(\d+)\.attention\.vision_norm\.(weight|bias)": R + r"blocks.\1.0.context_layer_norm.\2",
    r"resampler\.(\d+)\.mlp\.pre_norm\.(weight|bias)": R + r"blocks.\1.1.ln.\2",
    r"resampler\.(\d+)\.mlp\.up\.weight": R + r"blocks.\1.1.fc.weight",
    r"resampler\.(\d+)\.mlp\.down\.weight": R + r"blocks.\1.1.c_proj.weight",
}
TEXT: r.Table = {
    r"decoder\.text\.tokens\.weight": "model.embed_tokens.weight",
    r"decoder\.final_norm\.weight": "model.norm.weight",
    r"head\.logits\.weight": "lm_head.weight",
    **at_layer(r"attention\.([qkvo])\.weight", r"self_attn.\2_proj.weight"),
    **at_layer(r"attention\.([qk])_norm\.weight", r"self_attn.\2_layer_norm.weight"),
    **at_layer(r"attention\.pre_norm\.weight", "input_layernorm.weight"),
    **at_layer(r"attention\.branch_gate\.weight", "alpha_cross_attn"),
    **at_layer(r"gated_mlp\.branch_gate\.weight", "alpha_dense"),
    **at_layer(r"gated_mlp\.pre_norm\.weight", "post_attention_layernorm.weight"),
    **at_layer(r"gated_mlp\.(gate|up|down)\.weight", r"mlp.\2_proj.weight"),
}


def idefics(resampled: bool) -> nn.Module:
    """Redrawn, its gates open, which start closed."""
    vision = {"embed_dim": 20, "image_size": 8, "patch_size": 4, "num_hidden_layers": 2, "num_attention_heads": 2,
              "intermediate_size": 80, "num_channels": 3}  # fmt: skip
    perceiver = {"use_resampler": resampled, "resampler_n_latents": 4, "resampler_depth": 2, "resampler_n_heads": 2,
                 "resampler_head_dim": 8, "qk_layer_norms_perceiver": True}  # fmt: skip
    return redraw(IdeficsForVisionText2Text(IdeficsConfig(
        vocab_size=VOCAB, additional_vocab_size=0, hidden_size=32, intermediate_size=48, num_hidden_layers=4,
        num_attention_heads=4, max_position_embeddings=64, cross_layer_interval=2, alpha_initializer="ones",
        alpha_type="float", qk_layer_norms=True, use_resampler=resampled, tie_word_embeddings=False, pad_token_id=0,
        bos_token_id=1, eos_token_id=2, vision_config=vision, perceiver_config=perceiver,
    )))  # fmt: skip


SIZED = {
    "vocab_size": VOCAB, "max_length": 64, "d_model": {1280: 20, 4096: 32}, "n_heads": {16: 2, 32: 4}, "d_head": 8,
    "d_ff": {5120: 80, 11008: 48}, "size": {224: 8, 257: 5}, "patch": 4, "count": 4,
}  # fmt: skip
LOOKS = {"decoder": [{"repeat": 2, "of": ["look", "plain", "plain"]}]}


@torch.no_grad()
def test_idefics_from_pixels(tmp_path: Path) -> None:
    """Image encoder, resampler and text; the first words see no image, the first row is padded."""
    model, n = idefics(resampled=True), 11
    tokens, image, mask = ids(2, n), drawn(1, 2, 3, 8, 8), torch.ones(2, n, dtype=torch.long)
    mask[0, :2] = 0
    sees = (torch.arange(n) >= 4).long().expand(2, n)[:, :, None].contiguous()
    expected = model(
        input_ids=tokens, attention_mask=mask, pixel_values=image[:, None], image_attention_mask=sees, use_cache=False
    ).logits
    two = [{"repeat": 2, "of": ["main"]}]
    program = lower(shrunk("idefics-9b", {"vision": two, "resampler": two, **LOOKS}, SIZED))
    inputs = {
        "pixel_values": image, "input_ids": tokens, "attention_mask": mask,
        "image_attention_mask": sees.expand(2, n, 4).contiguous(),
    }  # fmt: skip
    weights = fitted(program, model.state_dict(), VISION | TEXT)
    everywhere(program, weights, inputs, expected, tmp_path, steps=True, valid=mask.bool())


@torch.no_grad()
def test_idefics_from_encoded_images(tmp_path: Path) -> None:
    """Two images for each text, not resampled, each seen from its place on."""
    model, n, rows = idefics(resampled=False), 11, 3
    tokens, images = ids(2, n), drawn(2, 2, 2, rows, 20)
    sees = (torch.arange(n)[None, :, None] >= torch.tensor([[[2, 6]], [[0, 9]]])).long()
    expected = model(
        input_ids=tokens, image_encoder_embeddings=images, image_attention_mask=sees, use_cache=False
    ).logits  # fmt: skip
    document = dict(zoo.read("idefics-9b"))
    features = {"type": "features", "name": "image_encoder_embeddings", "width": 1280}
    given = {"d_model": 1280, "input": {"name": "image", "sum": [features]}}
    decoder = document["stacks"]["decoder"] | {"layers": LOOKS["decoder"]}
    document["stacks"] = {"resampler": given, "decoder": decoder}
    program = lower(resolve(load_spec(resized(document, SIZED | {"width": 20}))))
    inputs = {
        "image_encoder_embeddings": images.flatten(1, 2), "input_ids": tokens,
        "image_attention_mask": sees.repeat_interleave(rows, 2),
    }  # fmt: skip
    everywhere(program, fitted(program, model.state_dict(), TEXT), inputs, expected, tmp_path, steps=True)


FLAMINGO: r.Table = {
    r"resampler\.latents\.latents\.weight": "resampler.latents",
    r"resampler\.final_norm\.(weight|bias)": r"resampler.norm.\1",
    r"resampler\.(\d+)\.attention\.pre_norm\.(weight|bias)": r"resampler.layers.\1.0.norm_latents.\2",
    r"resampler\.(\d+)\.attention\.media_norm\.(weight|bias)": r"resampler.layers.\1.0.norm_media.\2",
    r"resampler\.(\d+)\.attention\.q\.weight": r"resampler.layers.\1.0.to_q.weight",
    r"resampler\.(\d+)\.attention\.([kv])\.weight": r.part(r"resampler.layers.\1.0.to_kv.weight", names=("k", "v")),
    r"resampler\.(\d+)\.attention\.o\.weight": r"resampler.layers.\1.0.to_out.weight",
    r"resampler\.(\d+)\.mlp\.pre_norm\.(weight|bias)": r"resampler.layers.\1.1.0.\2",
    r"resampler\.(\d+)\.mlp\.up\.weight": r"resampler.layers.\1.1.1.weight",
    r"resampler\.(\d+)\.mlp\.down\.weight": r"resampler.layers.\1.1.3.weight",
    r"text\.0\.attention\.pre_norm\.(weight|bias)": r"block.attn.norm.\1",
    r"text\.0\.attention\.q\.weight": "block.attn.to_q.weight",
    r"text\.0\.attention\.([kv])\.weight": r.part("block.attn.to_kv.weight", names=("k", "v")),
    r"text\.0\.attention\.o\.weight": "block.attn.to_out.weight",
    r"text\.0\.attention\.branch_gate\.weight": "block.attn_gate",
    r"text\.0\.mlp\.pre_norm\.(weight|bias)": r"block.ff.0.\1",
    r"text\.0\.mlp\.up\.weight": "block.ff.1.weight",
    r"text\.0\.mlp\.down\.weight": "block.ff.3.weight",
    r"text\.0\.mlp\.branch_gate\.weight": "block.ff_gate",
}
HALVES = {"d_model": 32, "width": 32, "n_heads": 4, "d_head": 8, "d_ff": 32, "count": 4, "max_length": 64}


def placed(media: Tensor, stored: dict[str, Tensor]) -> Tensor:
    """Rows of each medium plus the vector of its number, which the reference adds before its resampler."""
    return media + stored["resampler.media_pos_emb"][: media.shape[1]]


@torch.no_grad()
def test_flamingo_of_one_medium(tmp_path: Path) -> None:
    """The spec whole: rows before the medium see nothing and get zeros."""
    of = frozen("flamingo")
    program = lower(shrunk("flamingo-module", {}, HALVES))
    inputs = {
        "media": placed(of.inputs["media"][:, :1], of.weights)[:, 0], "text": of.inputs["text"],
        "media_locations": of.inputs["first"].cumsum(1), "media_index": torch.ones(2, 4, dtype=torch.long),
    }  # fmt: skip
    everywhere(program, fitted(program, of.weights, FLAMINGO), inputs, of.outputs["one"], tmp_path, steps=True)


@torch.no_grad()
def test_flamingo_resampler_and_text_of_two_media(tmp_path: Path) -> None:
    """Each medium is resampled alone; a row of text sees the last one before it."""
    of, document = frozen("flamingo"), dict(zoo.read("flamingo-module"))
    stacks = document["stacks"]
    alone = document | {"stacks": {name: stacks[name] for name in ("media", "resampler")}}
    program = lower(resolve(load_spec(resized(alone, HALVES))))
    rows, seen = placed(of.inputs["media"], of.weights).flatten(0, 1), of.outputs["resampled"]
    weights = fitted(program, of.weights, FLAMINGO)
    everywhere(program, weights, {"media": rows}, seen.flatten(0, 1), tmp_path / "alone", steps=False)
    features = {"type": "features", "name": "resampled", "width": 1024}
    given = {"d_model": 1024, "input": {"name": "media", "sum": [features]}}
    program = lower(
        resolve(load_spec(resized(document | {"stacks": {"resampler": given, "text": stacks["text"]}}, HALVES)))
    )
    inputs = {
        "resampled": seen.flatten(1, 2), "text": of.inputs["text"], "media_locations": of.inputs["where"].cumsum(1),
        "media_index": torch.arange(1, 3).repeat_interleave(4).expand(2, 8).contiguous(),
    }  # fmt: skip
    weights = fitted(program, of.weights, FLAMINGO)
    everywhere(program, weights, inputs, of.outputs["two"], tmp_path / "text", steps=True)
