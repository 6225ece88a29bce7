"""Package folders: what is in them, whole or nothing, no torch without weights, depth for free."""

import json
import resource
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from archspec.api import compile
from archspec.errors import InputError
from archspec.interop.source import open_source
from archspec.running import module
from archspec.spec import load_spec, resolve, spec_hash
from compiler.emit import tensors
from compiler.emit.package import sha256
from compiler.ir.text import parse
from compiler.weights import save
from tests.emit_torch.packages import ids, model_of, spec
from tests.interop.tiny import CASES

GOOD = {"spec.json", "graph.txt", "report.json", "model.py"}


def test_without_weights(tmp_path: Path) -> None:
    compiled = compile(spec(), tmp_path / "p")
    assert {f.name for f in compiled.files} == GOOD
    report = json.loads((tmp_path / "p" / "report.json").read_text())
    assert report["weights"] is None and report["parameters"]["total"] > 0
    assert report["hash"] == spec_hash(resolve(load_spec(spec())))
    assert parse((tmp_path / "p" / "graph.txt").read_text()).name == "tiny"
    again = resolve(load_spec(tmp_path / "p" / "spec.json"))
    assert spec_hash(again) == report["hash"]


def test_with_weights(tmp_path: Path) -> None:
    compiled = compile(spec(), tmp_path / "p", init=1, dtype="fp32")
    folder = compiled.folder
    assert {f.name for f in compiled.files} == GOOD | {"weights.safetensors", "probe.safetensors"}
    report = json.loads((folder / "report.json").read_text())
    for name, file in report["files"].items():
        assert file == {"bytes": (folder / name).stat().st_size, "sha256": sha256(folder / name)}
    assert set(report["files"]) == {f.name for f in compiled.files} - {"report.json"}
    done = {p["name"]: p for p in report["passes"]}
    assert done["qkv_packing"]["matched"] == 2 and all(p["error"] < 1e-9 for p in done.values())
    probe = load_file(folder / "probe.safetensors")
    assert probe["output"].dtype == torch.float64
    got = module(folder / "model.py").load()(probe["input_ids"], probe["attention_mask"])
    real = probe["attention_mask"].bool()
    torch.testing.assert_close(got[real].double(), probe["output"][real], atol=1e-4, rtol=1e-4)
    assert not real.all()


def test_weights_do_not_depend_on_passes(tmp_path: Path) -> None:
    plain = model_of(spec(), tmp_path / "none", passes=())
    packed = model_of(spec(), tmp_path / "all")
    assert set(plain.state_dict()) != set(packed.state_dict())
    torch.testing.assert_close(plain(ids(1, 9)), packed(ids(1, 9)), atol=1e-5, rtol=1e-5)


def test_a_package_is_compiled_again(tmp_path: Path) -> None:
    """Its weights were packed by passes: they are taken apart and packed anew."""
    first = model_of(spec(), tmp_path / "first")
    second = model_of(str(tmp_path / "first"), tmp_path / "second", passes=())
    third = model_of(str(tmp_path / "second"), tmp_path / "third")
    assert any(".qkv." in name for name in first.state_dict()) and not any(".qkv." in n for n in second.state_dict())
    torch.testing.assert_close(second(ids(1, 9)), first(ids(1, 9)), atol=1e-5, rtol=1e-5)
    assert all(torch.equal(t, third.state_dict()[name]) for name, t in first.state_dict().items())


def test_large_weights_are_in_shards(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tensors, "save", partial(save, max_shard=4000))
    compiled = compile(spec(), tmp_path / "p", init=1, dtype="fp32")
    names = [f.name for f in compiled.files]
    assert "weights.safetensors.index.json" in names and sum(n.startswith("weights-0") for n in names) > 2
    assert module(compiled.folder / "model.py").load()(ids(1, 3)).shape == (1, 3, 97)


def test_precision_is_in_the_written_spec(tmp_path: Path) -> None:
    compile(spec(), tmp_path / "p", init=1, dtype="bf16")
    written = json.loads((tmp_path / "p" / "spec.json").read_text())
    assert written.get("precision", {}).get("weights", "bf16") == "bf16"
    compile(spec(), tmp_path / "q", init=1, dtype="fp16")
    assert json.loads((tmp_path / "q" / "spec.json").read_text())["precision"]["weights"] == "fp16"
    assert next(iter(load_file(tmp_path / "q" / "weights.safetensors").values())).dtype == torch.float16


def nothing_left(folder: Path) -> bool:
    return not [p for p in folder.iterdir() if p.name.startswith(".")]


def test_a_taken_place_is_refused(tmp_path: Path) -> None:
    (tmp_path / "p").mkdir()
    compile(spec(), tmp_path / "p")  # empty: fine
    before = sorted((f.name, f.stat().st_mtime_ns) for f in (tmp_path / "p").iterdir())
    with pytest.raises(InputError, match="exists already"):
        compile(spec(), tmp_path / "p")
    (tmp_path / "file").write_text("mine")
    with pytest.raises(InputError, match="exists already"):
        compile(spec(), tmp_path / "file")
    (tmp_path / "link").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(InputError, match="exists already"):
        compile(spec(), tmp_path / "link")
    assert before == sorted((f.name, f.stat().st_mtime_ns) for f in (tmp_path / "p").iterdir())
    assert nothing_left(tmp_path)


def test_an_unwritable_place_is_refused() -> None:
    with pytest.raises(InputError, match="cannot be written"):
        compile(spec(), "/proc/nothing/p")
    with pytest.raises(InputError, match="cannot be written"):
        compile(spec(), Path(__file__) / "p")


def test_nothing_is_half_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A failure in the middle leaves neither the folder nor a temporary one."""
    with pytest.raises(InputError, match="do not fit"):
        CASES["qwen3"].save(tmp_path / "other")
        compile(spec(), tmp_path / "p", weights=tmp_path / "other" / "model.safetensors")
    monkeypatch.setattr("compiler.emit.tensors.Tensors.probe", _full_disk)
    with pytest.raises(InputError, match="No space left"):
        compile(spec(), tmp_path / "p", init=1)
    assert not (tmp_path / "p").exists() and nothing_left(tmp_path)


def _full_disk(*_: object) -> None:
    raise OSError(28, "No space left on device")


def test_weights_of_another_model_are_refused(tmp_path: Path) -> None:
    CASES["llama"].save(tmp_path / "llama")
    CASES["gpt2"].save(tmp_path / "gpt2")
    with pytest.raises(InputError, match="do not fit"):
        compile(str(tmp_path / "llama" / "config.json"), tmp_path / "p", weights=tmp_path / "gpt2")
    with pytest.raises(InputError, match="not a complete safetensors file"):
        file = tmp_path / "llama" / "model.safetensors"
        file.write_bytes(file.read_bytes()[:1000])
        compile(tmp_path / "llama", tmp_path / "p")
    assert not (tmp_path / "p").exists() and nothing_left(tmp_path)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"target": "tensorflow"}, "--target: found 'tensorflow'; allowed: torch, onnx"),
        ({"device": "tpu"}, "--device: found 'tpu'"),
        ({"dtype": "int4"}, "--dtype: found 'int4'; allowed: fp32, bf16, fp16"),
        ({"passes": ["qkv"]}, "no pass 'qkv'"),
        ({"init": 1, "weights": "x"}, "exclude each other"),
        ({"weights": "/nothing/here"}, "no such file or folder"),
    ],
)
def test_wrong_options(options: dict[str, object], message: str, tmp_path: Path) -> None:
    with pytest.raises(InputError) as found:
        compile(spec(), tmp_path / "p", **options)  # type: ignore[arg-type]
    assert message in str(found.value) and not (tmp_path / "p").exists()


def run(code: str) -> str:
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_a_large_model_without_weights(tmp_path: Path) -> None:
    """126 layers of width 16384: under 3 seconds and 500 MB as a whole process, torch never imported."""
    code = (
        "import sys\n"
        f"sys.argv = ['archspec', 'compile', 'llama-3.1-405b', '-o', {str(tmp_path / 'p')!r}]\n"
        "from archspec.cli.main import main\n"
        "try: main()\n"
        "except SystemExit as end: assert not end.code, end.code\n"
        "assert 'torch' not in sys.modules\n"
        # ru_maxrss would count what the parent held before the exec.
        "print('KB', next(line.split()[1] for line in open('/proc/self/status') if line.startswith('VmHWM')))\n"
    )
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    out = run(code)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert int(out.split("KB")[1]) < 500_000
    # Processor time: what the process would take on a machine that does nothing else.
    assert after.ru_utime + after.ru_stime - usage.ru_utime - usage.ru_stime < 3
    assert (tmp_path / "p" / "model.py").exists()


def test_depth_is_free(tmp_path: Path) -> None:
    """126 layers take at most 1.2 times as long as 2, best of several."""

    def seconds(layers: int, folder: str) -> float:
        source = open_source("zoo:llama-3.1-405b")
        document = json.loads(json.dumps(source.spec._document))
        document["stacks"]["decoder"]["layers"][0]["repeat"] = layers
        start = time.process_time()
        compile(document, tmp_path / folder)
        return time.process_time() - start

    pairs = [(seconds(126, f"deep{i}"), seconds(2, f"flat{i}")) for i in range(15)]  # in turns: machines are noisy
    deep, flat = (min(times) for times in zip(*pairs, strict=True))
    assert deep < 1.2 * flat
