"""Long convolutions by modes, conformer's convolutions, waves: against plain arithmetic and transformers."""

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from transformers import Wav2Vec2ConformerConfig, Wav2Vec2ConformerModel

from compiler import ops
from compiler.lower.program import lower
from compiler.ops.context import Context
from compiler.ops.modal_conv.torch_helpers import modal_conv
from tests.emit_torch.packages import spec
from tests.parity.emitted import emitted_gap
from tests.parity.models import ids, redraw
from tests.parity.test_several_streams import found
from tests.zoo import renaming as r
from tests.zoo.shrink import shrunk

torch.set_num_threads(1)


def drawn(*shape: int) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(sum(shape)), dtype=torch.float64)


def mixer(**op: Any) -> dict[str, Any]:
    return spec(blocks={"main": [{"pre_norm": "rms", "op": op}]})


FORMS: dict[str, dict[str, Any]] = {
    "long": mixer(type="long_conv", filter={"type": "modal", "order": 2, "groups": 4}, d_conv=4, n_heads=2),
    "conformer": mixer(type="conv_module", kernel=5, norm="layer"),
    "conformer, even kernel, batch norm": mixer(type="conv_module", kernel=4, norm="batch"),
}


@pytest.mark.parametrize("form", FORMS)
def test_package_means_what_the_spec_means(form: str, tmp_path: Path) -> None:
    assert emitted_gap(FORMS[form], tmp_path / "p", ids(2, 13)) < 5e-5


def test_modes_are_a_long_filter() -> None:
    """y_t = sum over s of h_s x_{t-s} + skip·x_t with h_s = Re(sum of residue·pole^s), written out."""
    x, skip = drawn(2, 9, 6), drawn(6)
    poles, residues = drawn(3, 2, 2) / 2, drawn(3, 2, 2)
    params = {"poles": poles, "residues": residues, "skip": skip}
    (found,) = ops.meaning("modal_conv").run([x], params, {"order": 2, "groups": 3}, Context())
    pole, residue = torch.view_as_complex(poles), torch.view_as_complex(residues)
    filters = torch.stack([(residue * pole**s).sum(-1).real for s in range(9)], -1).repeat_interleave(2, 0)
    for t in range(9):
        expected = sum((filters[:, s] * x[:, t - s] for s in range(t + 1)), skip * x[:, t])
        torch.testing.assert_close(found[:, t], expected, atol=1e-12, rtol=1e-12)


def test_steps_of_a_long_filter() -> None:
    """The package's function over all tokens and in pieces, poles inside the unit circle."""
    x, skip, residues = drawn(2, 40, 6), drawn(6), drawn(3, 4, 2)
    poles = torch.nn.functional.normalize(drawn(3, 4, 2), dim=-1) * 0.97
    params = {"poles": poles, "residues": residues, "skip": skip}
    (expected,) = ops.meaning("modal_conv").run([x], params, {"order": 4, "groups": 3}, Context())
    torch.testing.assert_close(modal_conv(x, poles, residues, skip, None), expected, atol=1e-10, rtol=1e-10)
    modes = torch.zeros(2, 6, 4, 2, dtype=torch.float64)
    pieces = [modal_conv(part, poles, residues, skip, modes) for part in x.split([17, 1, 1, 21], 1)]
    torch.testing.assert_close(torch.cat(pieces, 1), expected, atol=1e-10, rtol=1e-10)


def test_heads_interleave_outer_inner_value() -> None:
    """Each head holds its x2, x1 and v side by side (stripedhyena's column_split)."""
    sizes = {"d_model": 8, "n_heads": 2, "d_ff": 12, "n_kv_heads": 2, "vocab_size": 97}
    block = lower(shrunk("stripedhyena-7b", {"decoder": ["hyena"]}, sizes)).blocks["decoder"]
    ops_of = {n.op: n for n in block.nodes}
    assert ops_of["split_heads"].attrs["heads"] == 2
    assert ops_of["split"].attrs["sizes"] == [4, 4, 4]
    muls = [n for n in block.nodes if n.op == "mul"]
    assert [v.rsplit(".", 1)[-1] for v in muls[0].inputs] == ["inner", "value"]
    assert muls[1].inputs[0].endswith("outer")


def test_strided_convolution_is_torchs() -> None:
    wave, weight, bias = drawn(2, 40), drawn(6, 1, 10), drawn(6)
    fields = {"channels": 6, "kernel": 10, "stride": 5, "bias": True}
    (found,) = ops.meaning("strided_conv").run([wave], {"weight": weight, "bias": bias}, fields, Context())
    torch.testing.assert_close(found, nn.functional.conv1d(wave[:, None], weight, bias, stride=5).mT)


L = r"encoder.layers.\1."
CONFORMER: r.Table = {
    r"encoder\.text\.audio_conv\.(\d+)\.(weight|bias)": r"feature_extractor.conv_layers.\1.conv.\2",
    r"encoder\.text\.audio_conv\.(\d+)\.norm\.(weight|bias)": r"feature_extractor.conv_layers.\1.layer_norm.\2",
    r"encoder\.text\.audio_conv\.then\.0\.(weight|bias)": r"feature_projection.layer_norm.\1",
    r"encoder\.text\.audio_conv\.then\.1\.(weight|bias)": r"feature_projection.projection.\1",
    r"encoder\.final_norm\.(weight|bias)": r"encoder.layer_norm.\1",
    **{
        rf"encoder\.(\d+)\.{ffn}\.{ours}\.(weight|bias)": L + theirs + r".\2"
        for ffn in ("ffn1", "ffn2")
        for ours, theirs in (
            ("pre_norm", f"{ffn}_layer_norm"), ("up", f"{ffn}.intermediate_dense"), ("down", f"{ffn}.output_dense")
        )
    },
    r"encoder\.(\d+)\.ffn2\.sum_norm\.(weight|bias)": L + r"final_layer_norm.\2",
    r"encoder\.(\d+)\.attention\.pre_norm\.(weight|bias)": L + r"self_attn_layer_norm.\2",
    **{
        rf"encoder\.(\d+)\.attention\.{role}\.(weight|bias)": L + f"self_attn.linear_{word}.\\2"
        for role, word in zip("qkvo", ("q", "k", "v", "out"), strict=True)
    },
    r"encoder\.(\d+)\.attention\.relative_vectors\.r\.weight": L + "self_attn.linear_pos.weight",
    r"encoder\.(\d+)\.attention\.relative_vectors\.(u|v)\.weight": L + r"self_attn.pos_bias_\2",
    r"encoder\.(\d+)\.conv_module\.pre_norm\.(weight|bias)": L + r"conv_module.layer_norm.\2",
    r"encoder\.(\d+)\.conv_module\.norm\.(weight|bias)": L + r"conv_module.batch_norm.\2",
    r"encoder\.(\d+)\.conv_module\.norm\.mean": L + "conv_module.batch_norm.running_mean",
    r"encoder\.(\d+)\.conv_module\.norm\.variance": L + "conv_module.batch_norm.running_var",
    **{
        rf"encoder\.(\d+)\.conv_module\.{ours}\.weight": lambda stored, match, name=name, axis=axis: (
            stored[match.expand(L + f"conv_module.{name}.weight")].squeeze(axis)
        )
        for ours, name, axis in (
            ("up", "pointwise_conv1", 2), ("conv", "depthwise_conv", 1), ("down", "pointwise_conv2", 2)
        )
    },
}  # fmt: skip


@torch.no_grad()
def test_conformer_over_waves_is_transformers() -> None:
    config: Any = {
        "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 48,
        "conv_dim": (16, 16), "conv_stride": (5, 2), "conv_kernel": (10, 3), "num_conv_pos_embedding_groups": 4,
        "conv_bias": True,
        "position_embeddings_type": "relative", "conv_depthwise_kernel_size": 5, "feat_extract_norm": "layer",
        "hidden_act": "silu",
    }  # fmt: skip
    model = redraw(Wav2Vec2ConformerModel(Wav2Vec2ConformerConfig(**config)))
    for name, buffer in model.named_buffers():
        if name.endswith(("running_mean", "running_var")):
            buffer.add_(0.3 * torch.rand(buffer.shape, generator=torch.Generator().manual_seed(len(name))))
    wave = torch.randn(2, 300, generator=torch.Generator().manual_seed(3))
    sizes = {"d_model": 32, "n_heads": 4, "d_ff": 48, "width": 32, "channels": [16, 16], "strides": [5, 2],
             "kernels": [10, 3], "kernel": 5}  # fmt: skip
    given = shrunk("wav2vec2-conformer-large", {"encoder": [{"repeat": 2, "of": ["main"]}]}, sizes)
    mine = found(given, model, CONFORMER, {"input_values": wave})
    torch.testing.assert_close(mine, model(wave).last_hidden_state, atol=1e-4, rtol=1e-4)
