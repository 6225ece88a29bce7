"""Loading, drawing and writing parameters; what does not fit is named."""

import json
import pickle
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file

from archspec.errors import InputError
from archspec.interop.recipe import Concat, Recipe, Slice, Stored, Transpose, compose
from archspec.interop.tensor_map import TensorMap
from compiler.weights import init_stream, init_weights, load, open_weights, save, stream

torch.set_num_threads(1)

FUSED: dict[str, Recipe] = {
    "decoder.0.q": Transpose(Slice(Stored("model.qk"), 1, 0, 4), (1, 0)),
    "decoder.0.k": Transpose(Slice(Stored("model.qk"), 1, 4, 8), (1, 0)),
    "vocab.weight": Stored("model.embed.weight"),
}
MAP = TensorMap(FUSED, prefix="model.", unread=("model.freq.*",), copies={"lm_head.weight": "model.embed.weight"})
PARAMS = {"decoder.0.q": (4, 6), "decoder.0.k": (4, 6), "vocab.weight": (9, 6)}


def stored(**changes: torch.Tensor | None) -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    base = {
        "model.qk": torch.randn(6, 8, generator=generator),
        "model.embed.weight": torch.randn(9, 6, generator=generator),
    }
    return {
        name: t for name, t in (base | {k.replace("__", "."): v for k, v in changes.items()}).items() if t is not None
    }


def folder_of(tensors: dict[str, torch.Tensor], folder: Path) -> Path:
    save_file(tensors, folder / "model.safetensors")
    return folder


def test_recipes_make_contiguous_tensors_of_their_own(tmp_path: Path) -> None:
    tensors = stored()
    found = load(PARAMS, MAP, open_weights(folder_of(tensors, tmp_path)))
    assert torch.equal(found["decoder.0.q"], tensors["model.qk"][:, :4].T)
    assert torch.equal(found["decoder.0.k"], tensors["model.qk"][:, 4:].T)
    for tensor in found.values():
        assert tensor.is_contiguous() and tensor.untyped_storage().nbytes() == tensor.numel() * 4


def test_passes_load_packed_tensors_at_once(tmp_path: Path) -> None:
    tensors = stored()
    packed = {
        "decoder.0.qk": Concat((Stored("decoder.0.q"), Stored("decoder.0.k")), 0),
        "vocab.weight": Stored("vocab.weight"),
    }
    whole = TensorMap(compose(packed, FUSED), MAP.prefix, MAP.unread, MAP.copies)
    found = load({"decoder.0.qk": (8, 6), "vocab.weight": (9, 6)}, whole, open_weights(folder_of(tensors, tmp_path)))
    assert torch.equal(found["decoder.0.qk"], tensors["model.qk"].T)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16])
def test_floats_are_cast_and_whole_numbers_are_not(dtype: torch.dtype, tmp_path: Path) -> None:
    save_file({"a": torch.ones(2), "n": torch.ones(2, dtype=torch.int64)}, tmp_path / "weights.safetensors")
    found = load({"a": (2,), "n": (2,)}, None, open_weights(tmp_path), dtype)
    assert (found["a"].dtype, found["n"].dtype) == (dtype, torch.int64)


def test_a_bare_model_lacks_the_prefix(tmp_path: Path) -> None:
    tensors = {name.removeprefix("model."): t for name, t in stored().items()}
    found = load(PARAMS, MAP, open_weights(folder_of(tensors, tmp_path)))
    assert torch.equal(found["vocab.weight"], tensors["embed.weight"])


def test_older_endings_are_found(tmp_path: Path) -> None:
    names = TensorMap(
        {"norm.weight": Stored("bert.LayerNorm.weight")}, "bert.", old_endings={"LayerNorm.gamma": "LayerNorm.weight"}
    )
    folder_of({"bert.LayerNorm.gamma": torch.ones(3)}, tmp_path)
    assert load({"norm.weight": (3,)}, names, open_weights(tmp_path))["norm.weight"].shape == (3,)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"model__qk": None}, r"missing model.qk \(for decoder.0.q\)$"),
        ({"model__extra": torch.ones(1)}, r"surplus model.extra$"),
        (
            {"model__qk": torch.ones(6, 7)},
            r"wrong shape decoder.0.k needs \[4, 6\], but slice\(axis=1, start=4, stop=8\)",
        ),
        (
            {"model__embed__weight": torch.ones(8, 6)},
            r"vocab.weight needs \[9, 6\], found \[8, 6\] \(model.embed.weight\)",
        ),
        ({"lm_head__weight": torch.ones(9, 6)}, "lm_head.weight differs from model.embed.weight"),
        ({f"model__x{i}": torch.ones(1) for i in range(9)}, "surplus model.x0, .* and 4 more"),
    ],
)
def test_what_does_not_fit_is_named(changes: dict[str, torch.Tensor | None], message: str, tmp_path: Path) -> None:
    source = open_weights(folder_of(stored(**changes), tmp_path))
    with pytest.raises(InputError, match=message):
        load(PARAMS, MAP, source)


def test_checks_come_before_the_first_tensor(tmp_path: Path) -> None:
    with pytest.raises(InputError):
        stream(PARAMS | {"new": (1,)}, MAP, open_weights(folder_of(stored(), tmp_path)))


def test_unread_and_equal_copies_are_allowed(tmp_path: Path) -> None:
    tensors = stored() | {"model.freq.0": torch.ones(1), "lm_head.weight": stored()["model.embed.weight"].clone()}
    assert set(load(PARAMS, MAP, open_weights(folder_of(tensors, tmp_path)))) == set(PARAMS)


def test_a_tied_tensor_may_be_stored_under_its_other_name_only(tmp_path: Path) -> None:
    tensors = stored(model__embed__weight=None) | {"lm_head.weight": torch.ones(9, 6)}
    assert load(PARAMS, MAP, open_weights(folder_of(tensors, tmp_path)))["vocab.weight"].sum() == 54


def test_one_tensor_at_a_time(tmp_path: Path) -> None:
    big = {f"t{i}": torch.zeros(1000, 1000) for i in range(8)}
    save(big, tmp_path)
    alive = []
    for _, tensor in stream(dict.fromkeys(big, (1000, 1000)), None, open_weights(tmp_path)):
        alive.append(tensor.untyped_storage().nbytes())
        del tensor
    assert alive == [4_000_000] * 8


def test_saved_shards_are_read_back(tmp_path: Path) -> None:
    tensors = init_weights({f"a.{i}.weight": (10, 10) for i in range(7)}, 0)
    files = save(iter(tensors.items()), tmp_path, max_shard=900)
    assert [file.name for file in files][:2] == [
        "weights-00001-of-00004.safetensors",
        "weights-00002-of-00004.safetensors",
    ]
    index = json.loads((tmp_path / "weights.safetensors.index.json").read_text())
    assert index["metadata"]["total_size"] == 2800 and set(index["weight_map"]) == set(tensors)
    assert {file.name for file in tmp_path.iterdir()} == {file.name for file in files}
    found = load(dict.fromkeys(tensors, (10, 10)), None, open_weights(tmp_path))
    assert all(torch.equal(found[name], tensors[name]) for name in tensors)
    assert [file.name for file in save(tensors, tmp_path / ".", max_shard=1e6)] == ["weights.safetensors"]


def test_an_unwritable_place_is_said(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot be written"):
        save({"a": torch.ones(1)}, tmp_path / "nowhere")


def test_every_cut_of_a_safetensors_file_is_found(tmp_path: Path) -> None:
    folder_of(stored(), tmp_path)
    file = tmp_path / "model.safetensors"
    whole = file.read_bytes()
    for cut in [0, 4, 8, 20, len(whole) // 2, len(whole) - 1]:
        file.write_bytes(whole[:cut])
        with pytest.raises(InputError, match="not a complete safetensors file"):
            open_weights(tmp_path)


@pytest.mark.parametrize("name", ["../outside.safetensors", "/etc/passwd", "sub/a.safetensors", "..", "", 3, "a.bin"])
def test_an_index_cannot_leave_its_folder(name: object, tmp_path: Path) -> None:
    folder = tmp_path / "model"
    folder.mkdir()
    save_file({"a": torch.ones(1)}, tmp_path / "outside.safetensors")
    (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": {"a": name}}))
    with pytest.raises(InputError, match="is not"):
        open_weights(folder)


@pytest.mark.parametrize("content", ["{", "[]", '{"weight_map": 3}', '{"a": 1}'])
def test_a_broken_index_is_said(content: str, tmp_path: Path) -> None:
    (tmp_path / "model.safetensors.index.json").write_text(content)
    with pytest.raises(InputError, match="not a safetensors index"):
        open_weights(tmp_path)


def test_a_missing_shard_is_named(tmp_path: Path) -> None:
    (tmp_path / "model.safetensors.index.json").write_text(json.dumps({"weight_map": {"a": "gone.safetensors"}}))
    with pytest.raises(InputError, match=r"the file gone\.safetensors is missing"):
        open_weights(tmp_path)


def test_pickles_are_refused_by_name(tmp_path: Path) -> None:
    (tmp_path / "pytorch_model.bin").write_bytes(pickle.dumps({}))
    for path in (tmp_path, tmp_path / "pytorch_model.bin"):
        with pytest.raises(InputError, match="can run code when opened"):
            open_weights(path)


def test_several_files_without_index_are_refused(tmp_path: Path) -> None:
    for name in ("a", "b"):
        save_file({name: torch.ones(1)}, tmp_path / f"{name}.safetensors")
    with pytest.raises(InputError, match="no index"):
        open_weights(tmp_path)
    with pytest.raises(InputError, match="no weights"):
        (tmp_path / "empty").mkdir()
        open_weights(tmp_path / "empty")


def test_drawn_parameters_depend_on_seed_and_path_alone() -> None:
    shapes = {"a.weight": (64, 256), "a.bias": (64,), "norm.weight": (4096,)}
    drawn = init_weights(shapes, 7)
    again = dict(init_stream(dict(reversed(shapes.items())), 7))
    assert all(torch.equal(drawn[path], again[path]) for path in shapes)
    assert not torch.equal(drawn["a.weight"], init_weights(shapes, 8)["a.weight"])
    assert not torch.equal(drawn["a.weight"], init_weights({"b.weight": (64, 256)}, 7)["b.weight"])
    assert abs(drawn["a.weight"].std() * 16 - 1) < 0.05  # 1/sqrt(fan_in)
    assert abs(drawn["norm.weight"].mean() - 1) < 0.01 and abs(drawn["norm.weight"].std() - 0.1) < 0.01
    assert abs(drawn["a.bias"].mean()) < 0.1


def test_shapes_come_from_headers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = open_weights(folder_of(stored(), tmp_path))
    monkeypatch.setattr(safe_open, "get_tensor", None, raising=False)
    assert source.shapes() == {"model.qk": (6, 8), "model.embed.weight": (9, 6)}
