"""Every kind of bad input: one clear message with file, place, what was found, what is allowed."""

import json
from pathlib import Path
from typing import Any

import pytest

from archspec.errors import InputError
from archspec.spec import SpecError, load_spec, resolve
from tests.spec.documents import ATTENTION, MLP, STACK, tiny

BRANCHES = f"{STACK}/blocks/main"


def problem(changes: dict[str, Any]) -> SpecError:
    with pytest.raises(SpecError) as caught:
        resolve(load_spec(tiny(changes), "model.json"))
    return caught.value


TYPES = [
    ({f"{ATTENTION}/n_head": 3}, f"/{ATTENTION}/n_head", ["unknown field", "did you mean 'n_heads'?", "allowed:"]),
    ({f"{ATTENTION}/type": "atention"}, f"/{ATTENTION}", ["unknown op 'atention'", "did you mean 'attention'?"]),
    ({f"{ATTENTION}/n_heads": "4"}, f"/{ATTENTION}/n_heads", ['found "4"', "a whole number of at least 1"]),
    ({f"{ATTENTION}/n_heads": True}, f"/{ATTENTION}/n_heads", ["found true"]),
    ({f"{ATTENTION}/n_heads": 1.5}, f"/{ATTENTION}/n_heads", ["found 1.5", "whole"]),
    ({f"{ATTENTION}/n_heads": None}, f"/{ATTENTION}/n_heads", ["found null"]),
    ({f"{ATTENTION}/n_heads": 10**50}, f"/{ATTENTION}/n_heads", ["found 1000"]),
    ({f"{ATTENTION}/n_heads": ...}, f"/{ATTENTION}/n_heads", ["missing"]),
    ({f"{ATTENTION}/mask": "casual"}, f"/{ATTENTION}/mask", ["unknown mask 'casual'", "did you mean 'causal'?"]),
    ({f"{ATTENTION}/mask": {"type": "and", "of": ["causal", {"type": "window", "behin": 2}]}},
     f"/{ATTENTION}/mask/of/1/behin", ["did you mean 'behind'?"]),
    ({f"{ATTENTION}/mask": {"of": []}}, f"/{ATTENTION}/mask", ["an object with `type`"]),
    ({f"{ATTENTION}/bias": ["q", "w"]}, f"/{ATTENTION}/bias/1", ['found "w"', "q, k, v, o"]),
    ({f"{ATTENTION}/position": "rope"}, f"/{ATTENTION}/position", ['found "rope"']),
    ({f"{MLP}/activation": "sliu"}, f"/{MLP}/activation", ["did you mean 'silu'?"]),
    ({f"{MLP}/activation": ...}, f"/{MLP}/activation", ["missing"]),
    ({f"{BRANCHES}/1": "mlp"}, f"/{BRANCHES}/1", ["step", "op, parallel, resample"]),
    ({f"{BRANCHES}/1/pre_nrm": "rms"}, f"/{BRANCHES}/1/pre_nrm", ["did you mean 'pre_norm'?"]),
    ({f"{BRANCHES}/1/pre_norm": "rmss"}, f"/{BRANCHES}/1/pre_norm", ["unknown norm", "did you mean 'rms'?"]),
    ({f"{BRANCHES}": {"lik": "main"}}, f"/{BRANCHES}", ["steps, like"]),
    ({f"{STACK}/input/smu": []}, f"/{STACK}/input/smu", ["did you mean 'sum'?"]),
    ({f"{STACK}/input/sum": ["tokns"]}, f"/{STACK}/input/sum/0", ["did you mean 'tokens'?"]),
    ({f"{STACK}/layers": 3}, f"/{STACK}/layers", ["found 3"]),
    ({"stacks": []}, "/stacks", ["found []"]),
    ({"stacks/de coder": {}}, "/stacks/de coder", ["a name of letters"]),
    ({"archspec": 2}, "/archspec", ["found 2", "version 1"]),
    ({"head/logits": "linaer"}, "/head/logits", ["did you mean 'linear'?"]),
    ({"precision": {"weights": "bf61"}}, "/precision/weights", ["bf16"]),
    ({"vocabsize": 3}, "/vocabsize", ["did you mean 'vocab_size'?"]),
    ({f"{STACK}/input/sum": [{"type": "features", "name": "class"}]}, f"/{STACK}/input/sum/0/name", ["word of Python"]),
    ({f"{STACK}/input/sum": [{"type": "tokens", "name": "x; y"}]}, f"/{STACK}/input/sum/0/name", ["a name of letters"]),
]  # fmt: skip

NAMES = [
    ({f"{STACK}/layers": ["mian"]}, f"/{STACK}/layers/0/block", ["unknown block 'mian'", "did you mean 'main'?"]),
    ({f"{STACK}/layers": [{"repeat": 2, "of": ["x"]}]}, f"/{STACK}/layers/0/of/0/block", ["there are: main"]),
    ({f"{STACK}/blocks/b": {"like": "mian"}}, f"/{STACK}/blocks/b/like", ["did you mean 'main'?"]),
    ({f"{STACK}/blocks/b": {"like": "b"}}, f"/{STACK}/blocks/b/like", ["circle", "b -> b"]),
    ({f"{STACK}/blocks/b": {"like": "main", "set": {"/0/opp/mask": "full"}}},
     f'/{STACK}/blocks/b/set["/0/opp/mask"]', ["did you mean 'op'?"]),
    ({f"{STACK}/blocks/b": {"like": "main", "set": {"/7/op": "identity"}}},
     f'/{STACK}/blocks/b/set["/7/op"]', ["no item '7' in a list of 2"]),
    ({f"{STACK}/blocks/b": {"like": "main", "set": {"0/op": "identity"}}},
     f'/{STACK}/blocks/b/set["0/op"]', ["starts with '/'"]),
    ({f"{STACK}/layers": [{"block": "main", "set": {"/0/op/mask": "casual"}}]},
     f'/{STACK}/layers/0/set["/0/op/mask"]', ["did you mean 'causal'?"]),
    ({f"{BRANCHES}/0/read": "y"}, f"/{BRANCHES}/0/read", ["unknown stream 'y'", "x"]),
    ({f"{STACK}/final_read": "y"}, f"/{STACK}/final_read", ["unknown stream 'y'"]),
    ({f"{STACK}/streams": {"x": "txt"}}, f"/{STACK}/streams/x", ["did you mean 'text'?"]),
    ({f"{STACK}/streams": {"x": "text", "decoder": "zero"}}, f"/{STACK}", ["both a stream and a stack"]),
    ({f"{ATTENTION}/source": "encodr"}, f"/{ATTENTION}/source", ["unknown source 'encodr'"]),
    ({f"{BRANCHES}/0/rows": {"type": "segment_named", "name": "txt"}}, f"/{BRANCHES}/0/rows/name", ["'text'"]),
    ({"output": "decodr"}, "/output", ["did you mean 'decoder'?"]),
    ({f"{STACK}/input": [{"sum": ["tokens"]}, {"sum": ["tokens"]}]}, f"/{STACK}/input/1/name", ["two inputs"]),
]  # fmt: skip

NUMBERS = [
    ({f"{ATTENTION}/n_heads": 5}, f"/{ATTENTION}/d_head", ["6.4 (= d_model/n_heads)", "not a whole number"]),
    ({f"{ATTENTION}/n_heads": -4}, f"/{ATTENTION}/n_heads", ["found -4", "at least 1"]),
    ({f"{ATTENTION}/n_kv_heads": 3}, f"/{ATTENTION}/n_kv_heads", ["found 3", "n_heads (4) must be a multiple"]),
    ({f"{ATTENTION}/n_heads": "=d_model/3"}, f"/{ATTENTION}/n_heads", ["10.6667", "not a whole number"]),
    ({f"{ATTENTION}/n_heads": "=d_modle/8"}, f"/{ATTENTION}/n_heads", ["did you mean 'd_model'?"]),
    ({f"{ATTENTION}/n_heads": "=d_model/"}, f"/{ATTENTION}/n_heads", ["does not parse"]),
    ({f"{ATTENTION}/n_heads": "=n_kv_heads", f"{ATTENTION}/n_kv_heads": "=n_heads"},
     f"/{ATTENTION}/n_", ["depends on itself"]),
    ({f"{ATTENTION}/n_heads": "=__import__('os')"}, f"/{ATTENTION}/n_heads", ["not allowed in a formula"]),
    ({f"{ATTENTION}/mask": {"type": "window", "behind": 0}}, f"/{ATTENTION}/mask/behind", ["found 0", "at least 1"]),
    ({f"{ATTENTION}/softcap": 0}, f"/{ATTENTION}/softcap", ["above 0"]),
    ({f"{MLP}/d_ff": 10**12}, f"/{MLP}/d_ff", ["1e+12", "at most 1,000,000,000"]),
    ({f"{MLP}/d_ff": "=d_model*10**12"}, f"/{MLP}/d_ff", ["at most 1,000,000,000"]),
    ({f"{MLP}/d_ff": "=9**9**9"}, f"/{MLP}/d_ff", ["digits"]),
    ({f"{STACK}/d_model": -32}, f"/{STACK}/d_model", ["found -32"]),
    ({f"{STACK}/layers/0/repeat": 0}, f"/{STACK}/layers/0/repeat", ["at least 1"]),
    ({f"{STACK}/layers/0/repeat": 10**7}, f"/{STACK}/layers/0/repeat", ["more than 100000 layers"]),
    ({"vocab_size": 0}, "/vocab_size", ["at least 1"]),
    ({"vocab_size": ...}, f"/{STACK}/input/sum/0/size", ["not given", "vocab_size"]),
    ({f"{ATTENTION}/position": [{"type": "rope", "dims": 7}]}, f"/{ATTENTION}/position/0/dims", ["must be even"]),
    ({f"{ATTENTION}/position": [{"type": "rope", "dims": 16}]},
     f"/{ATTENTION}/position/0/dims", ["wider than the head"]),
    ({f"{ATTENTION}/position": [{"type": "rope", "dims": 6, "offset": 4}]},
     f"/{ATTENTION}/position/0/dims", ["ends at 10, wider than the head (8)"]),
    ({f"{ATTENTION}/bias": ["q", "q"]}, f"/{ATTENTION}/bias", ["stands twice"]),
    ({f"{ATTENTION}/mask": {"type": "by_head", "of": ["causal", "full"]}},
     f"/{ATTENTION}/mask", ["2 masks for 4 heads"]),
    ({f"{ATTENTION}/mask": {"type": "keys", "of": {"type": "first", "count": 65}}},
     f"/{ATTENTION}/mask/of/count", ["beyond the longest sequence"]),
    ({MLP: {"type": "moe", "n_experts": 4, "router": {"top_k": 5},
            "expert": {"type": "mlp", "d_ff": 8, "activation": "relu"}}},
     f"/{MLP}/router/top_k", ["found 5, more than there are experts (4)"]),
    ({MLP: {"type": "linear_attention", "n_heads": 4, "position": ["alibi"]}},
     f"/{MLP}/position/0", ["'alibi'", "linear_attention has none"]),
    ({MLP: {"type": "selective_scan", "position": ["alibi"]}}, f"/{MLP}/position", ["unknown field 'position'"]),
    ({f"{STACK}/input/sum": ["tokens", {"type": "axial", "shape": [8, 8], "widths": [16, 8]}]},
     f"/{STACK}/input/sum/1", ["width 24", "32"]),
    ({f"{STACK}/input/sum": [{"type": "tokens", "width": 16}]}, f"/{STACK}/input/sum", ["width 16, not d_model (32)"]),
    ({f"{STACK}/input/sum": [{"type": "axial", "shape": [4, 8], "widths": [16, 16]}]},
     f"/{STACK}/input/sum/0/shape", ["32 places, fewer than max_length (64)"]),
    ({f"{STACK}/input/sum": [{"type": "patches", "size": 30, "patch": 7}]},
     f"/{STACK}/input/sum/0/patch", ["multiple"]),
    ({f"{STACK}/blocks/unused": [{"op": {"type": "mlp", "d_ff": -1, "activation": "relu"}}]},
     f"/{STACK}/blocks/unused/0/op/d_ff", ["found -1"]),
    ({f"{STACK}/layers": [{"block": "main", "set": {"/0/op/n_kv_heads": 3}}]},
     f'/{STACK}/layers/0/set["/0/op/n_kv_heads"]', ["must be a multiple"]),
    ({f"{STACK}/blocks/b": {"like": "main", "set": {"/1/op": {"type": "mlp", "d_ff": 0, "activation": "relu"}}}},
     f'/{STACK}/blocks/b/set["/1/op"]/d_ff', ["at least 1"]),
]  # fmt: skip

SOURCES = [
    ({f"{ATTENTION}/source": "decoder"}, "/stacks/decoder", ["circle", "decoder -> decoder"]),
    ({f"{BRANCHES}/0/read": "y", f"{BRANCHES}/1/write": "y", f"{BRANCHES}/1/residual": "replace"},
     f"/{BRANCHES}/0/read", ["'y' is read before it is written"]),
    ({f"{BRANCHES}/1/write": "y"}, f"/{BRANCHES}/1/write", ["no 'y' to add to", "replace"]),
    ({f"{STACK}/streams": {"x": "text", "later": "zero"}}, f"/{STACK}/streams/later", ["never written"]),
    ({f"{BRANCHES}/0/residual": {"type": "add", "of": "pre_norm"}, f"{BRANCHES}/0/pre_norm": ...},
     f"/{BRANCHES}/0/residual/of", ["no pre_norm"]),
    ({MLP: {"type": "linear_attention", "n_heads": 4, "mask": "full", "decay": {"type": "fixed", "rate": 0.9}}},
     f"/{MLP}/mask", ["decay runs forward"]),
    ({f"{ATTENTION}/key_map": {"type": "length_projection", "length": 64, "rank": 8}},
     f"/{ATTENTION}/mask", ["'full'"]),
    ({"head/logits": {"type": "linear", "weights": "/vocab", "size": 99},
      f"{STACK}/input/sum": [{"type": "tokens", "weights": "/vocab"}]},
     "/head/logits/weights", ["a table of 99 x 32 here and a table of 100 x 32", "one shape"]),
    ({f"{BRANCHES}/0/op/weights": "a", f"{BRANCHES}/1/op/weights": "a"}, f"/{BRANCHES}/1/op/weights", ["one shape"]),
]  # fmt: skip


@pytest.mark.parametrize(("changes", "path", "words"), [*TYPES, *NAMES, *NUMBERS, *SOURCES])
def test_message(changes: dict[str, Any], path: str, words: list[str]) -> None:
    error = problem(changes)
    assert error.source == "model.json"
    assert error.path == path or (path.endswith("_") and error.path.startswith(path))
    assert str(error).startswith(f"model.json at {error.path}: ")
    for word in words:
        assert word in error.message
    assert "\n" not in str(error)


def test_circle_of_two_stacks() -> None:
    document = tiny({f"{ATTENTION}/source": "other"})
    other = tiny({f"{ATTENTION}/source": "decoder"})["stacks"]["decoder"]
    document["stacks"]["other"] = other
    with pytest.raises(SpecError, match="circle: decoder -> other -> decoder"):
        resolve(load_spec(document))


def test_two_outputs() -> None:
    document = tiny()
    document["stacks"]["other"] = document["stacks"]["decoder"]
    with pytest.raises(SpecError, match="decoder, other are read by no other stack") as caught:
        resolve(load_spec(document))
    assert caught.value.path == "/output"


def test_types_come_before_names_and_numbers() -> None:
    error = problem({f"{ATTENTION}/n_kv_heads": 3, f"{STACK}/layers": ["mian"], f"{MLP}/activation": "sliu"})
    assert error.path == f"/{MLP}/activation"
    error = problem({f"{ATTENTION}/n_kv_heads": 3, f"{STACK}/layers": ["mian"]})
    assert error.path == f"/{STACK}/layers/0/block"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "is not JSON"),
        ("{", "line 1, column 2"),
        ("{'archspec': 1}", "is not JSON"),
        ("[]", "expected a JSON object"),
        ('{"archspec": 1, "archspec": 1}', "'archspec' stands twice"),
        ('{"archspec": NaN}', "NaN"),
        ("[" * 100_000, "too deeply"),
        ('{"archspec": 1, "stacks": ' + '{"a":' * 900 + "1" + "}" * 900 + "}", "nested deeper"),
    ],
)
def test_not_json(text: str, words: str, tmp_path: Path) -> None:
    file = tmp_path / "bad.json"
    file.write_text(text)
    with pytest.raises(InputError, match=words) as caught:
        load_spec(file)
    assert str(caught.value).startswith(str(file))


def test_deep_nesting_is_an_error_not_a_crash() -> None:
    mask: Any = "causal"
    for _ in range(3000):
        mask = {"type": "not", "of": mask}
    document = tiny()
    document["stacks"]["decoder"]["blocks"]["main"][0]["op"]["mask"] = mask
    with pytest.raises(InputError, match="nested deeper than 100 levels"):
        load_spec(document)


def test_unreadable(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="No such file"):
        load_spec(tmp_path / "none.json")
    binary = tmp_path / "binary.json"
    binary.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(InputError, match="UTF-8"):
        load_spec(binary)
    with pytest.raises(InputError):
        load_spec(tmp_path)


def test_whole_float_is_a_whole_number() -> None:
    document = json.loads(json.dumps(tiny({f"{ATTENTION}/n_heads": 4.0})))
    assert resolve(load_spec(document)).stacks["decoder"].bodies[0][0].op.n_heads == 4  # type: ignore[union-attr]
