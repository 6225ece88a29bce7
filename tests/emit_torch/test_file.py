"""The file itself: formatted, importing torch only, running alone; names of a spec never become code."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from archspec.interop.source import open_spec
from archspec.spec import load_spec, resolve
from compiler import pipeline
from compiler.emit.torch import write_model
from compiler.emit.torch.layout import wrap
from compiler.emit.torch.names import attribute, comment, identifier, quoted
from compiler.ir.program import Program
from compiler.lower.program import lower
from tests.emit_torch.packages import ids, model_of, packaged, spec

ZOO = ["llama-3.1-8b", "gpt2", "mistral-7b", "qwen2-0.5b", "qwen3-0.6b", "bert-base", "roberta-base", "smollm2-135m"]


def program(name: str, passes: tuple[str, ...] | None = None) -> Program:
    return pipeline.run(lower(resolve(open_spec(f"zoo:{name}"))), passes)[0]


@pytest.mark.parametrize("passes", [None, ()], ids=["all passes", "no passes"])
@pytest.mark.parametrize("name", ZOO)
def test_files_are_formatted_and_lint_clean(name: str, passes: tuple[str, ...] | None, tmp_path: Path) -> None:
    file = tmp_path / "model.py"
    file.write_text(write_model(program(name, passes)))
    for check in (["format", "--check"], ["check", "--select", "E,F,W,I,B"]):
        done = subprocess.run(
            [sys.executable, "-m", "ruff", *check, "--isolated", "--line-length", "120", str(file)],
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("name", ZOO)
def test_files_import_torch_only(name: str) -> None:
    tree = ast.parse(write_model(program(name)))
    names = {a.name for n in ast.walk(tree) if isinstance(n, ast.Import) for a in n.names}
    names |= {str(n.module) for n in ast.walk(tree) if isinstance(n, ast.ImportFrom)}
    allowed = {"json", "math", "functools", "pathlib", "typing", "collections", "weakref", "__future__"}
    allowed |= {"torch", "safetensors"}
    assert {name.partition(".")[0] for name in names} <= allowed


def test_a_broken_line_says_the_same() -> None:
    """Calls, lists, conditions inside a lambda: no comma makes a tuple of what brackets only group."""
    far = " | ".join(f"(some_rows_of_text_{i} - some_columns_of_text_{i} >= {i})" for i in range(6))
    for line in (
        f"mask = visible_mask(real, x, lambda i, j: ((j >= 0) if i[-1] + 1 <= 44 else ({far} & (j < 4))), True)",
        f"rows = ({far})",
        f"x = call(one, [two, ({far}), three], key={{'four': (5, 6)}})  # (B, S, 32)",
        "def " + "a_long_name_of_a_function" * 3 + "(one: Tensor, two: dict[str, int], three: Tensor): return one",
    ):
        broken = wrap(line)
        assert len(broken) > 1 and ast.dump(ast.parse("\n".join(broken))) == ast.dump(ast.parse(line))


def test_only_helpers_that_are_used(tmp_path: Path) -> None:
    decoder, encoder = write_model(program("llama-3.1-8b")), write_model(program("bert-base"))
    assert "class Span" in decoder and "attend_capped" not in decoder and "turn_pairs" not in decoder
    assert "class Span" not in encoder and "class State" not in encoder and "turn_halves" not in encoder


def test_depth_is_a_count() -> None:
    deep, text = program("llama-3.1-405b"), write_model(program("llama-3.1-405b"))
    assert len(deep.blocks) == 1 and "range(126)" in text
    assert len(text.splitlines()) < 720


def test_state_dict_keys_are_our_paths(tmp_path: Path) -> None:
    for passes in (None, ()):
        module = packaged(spec(), tmp_path / str(passes), passes=passes)
        made = pipeline.run(lower(resolve(load_spec(spec()))), passes)[0]
        found = {name: tuple(t.shape) for name, t in module.Model().state_dict().items()}
        assert found == {path: param.shape for path, param in made.parameter_paths().items()}


def test_the_file_runs_alone(tmp_path: Path) -> None:
    """Without archspec on the path, with and without weights."""
    for options in ({}, {"init": 3}):
        folder = tmp_path / str(len(options))
        packaged(spec(), folder, **options)
        code = f"import runpy; runpy.run_path({str(folder / 'model.py')!r}, run_name='__main__')"
        blocked = (
            "import sys; sys.modules.update({name: None for name in ('archspec', 'compiler', 'store', 'search')}); "
        )
        done = subprocess.run(
            [sys.executable, "-I", "-c", blocked + code], capture_output=True, text=True, cwd=tmp_path
        )
        assert done.returncode == 0, done.stderr
        assert "one step after 8 random tokens: output (1, 1, 97)" in done.stdout


def test_loading_without_weights_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="compile with --weights"):
        packaged(spec(), tmp_path / "p").load()


def test_types(tmp_path: Path) -> None:
    """bf16 and fp16 from the same file; float64 stays float64."""
    module = packaged(spec(), tmp_path / "p", init=1, dtype="fp32")
    exact = module.load(dtype=torch.float64)
    assert exact.rotary.dtype == torch.float64
    reference = exact(ids(1, 9))
    assert reference.dtype == torch.float64
    for dtype, tolerance in ((torch.float32, 1e-5), (torch.float16, 2e-2), (torch.bfloat16, 1e-1)):
        model = module.load(dtype=dtype)
        assert model.rotary.dtype == torch.float64
        assert model.to(dtype).rotary.dtype == torch.float64
        out = model(ids(1, 9))
        assert out.dtype == dtype
        torch.testing.assert_close(out.double(), reference, atol=tolerance, rtol=tolerance)


def test_layers_that_share_weights_are_one(tmp_path: Path) -> None:
    shared = spec(layers=[{"block": "main", "weights": "/once"}, {"block": "main", "weights": "/once"}, "main"])
    model = model_of(shared, tmp_path / "p")
    assert "once.attention.o.weight" in model.state_dict() and "decoder.2.attention.o.weight" in model.state_dict()
    assert len(model.decoder_layers) == 3 and model.decoder_layers[0] is model.decoder_layers[1]
    assert model.new_state(1, 4).caches[0][0] is not model.new_state(1, 4).caches[1][0]


HOSTILE = [
    'x"); import os; os.system("echo', "a\nimport os", "'''", '"""\nraise SystemExit\n"""', "{x}", "\\", "#", "é", "",
    "class", "forward", "type", "self", "__init__", "0", "a b", "%s", "{}", "train", "weight", "past", "match",
]  # fmt: skip


@pytest.mark.parametrize("name", HOSTILE)
def test_the_name_of_a_spec_never_becomes_code(name: str, tmp_path: Path) -> None:
    text = write_model(lower(resolve(load_spec(spec(name=name)))))
    assert "NAME" in text
    tree = ast.parse(text)
    values = [n.value for n in tree.body if isinstance(n, ast.Assign) and n.targets[0].id == "NAME"]  # type: ignore[attr-defined]
    assert [ast.literal_eval(v) for v in values] == [name]
    assert len(tree.body) == len(ast.parse(write_model(lower(resolve(load_spec(spec(name="plain")))))).body)


NAMES = ["forward", "type", "class", "train", "_modules", "state", "Model", "torch", "a-b", "x_", "F", "past", "bias",
         "run", "caches", "print", "decoder", "Tensor", "list", "range", "zip", "layer", "len"]  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
def test_branches_blocks_and_weights_of_any_legal_name(name: str, tmp_path: Path) -> None:
    """Names that the language allows, and that Python or torch use themselves."""
    made = spec()
    stack = made["stacks"]["decoder"]
    main = stack["blocks"].pop("main")
    main[0]["name"] = name
    main[1]["op"]["weights"] = name
    stack["blocks"][name] = main
    stack["layers"] = [{"repeat": 2, "of": [name]}]
    stack["input"] = {"name": name, "sum": [{"type": "tokens", "weights": f"/{name}"}]}
    model = model_of(made, tmp_path / "p")
    assert any(f".{name}." in path for path in model.state_dict())
    tokens = ids(1, 5)
    logits, _ = model.step(tokens, model.new_state(1, 5))
    torch.testing.assert_close(logits, model(tokens), atol=1e-5, rtol=1e-5)


@settings(max_examples=300, deadline=None)
@given(st.text(max_size=30))
def test_names_are_harmless(text: str) -> None:
    assert identifier(text).isidentifier() and identifier(text).isascii()
    assert ast.literal_eval(quoted(text)) == text and "\n" not in quoted(text)
    said = comment(text)
    assert "\n" not in said and '"' not in said and "\\" not in said and said.isascii()
    tree = ast.parse(attribute("self", text or "x"), mode="eval")
    assert not [n for n in ast.walk(tree) if isinstance(n, ast.Call) and getattr(n.func, "id", "") != "at"]
