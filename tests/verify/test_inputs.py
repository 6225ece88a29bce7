"""Packages that take more than ids are verified in steps too: a prefix, given places, features."""

from pathlib import Path
from typing import Any

import pytest

from archspec import zoo
from archspec.api import compile
from compiler.verify.folder import open_folder
from compiler.verify.package import verify
from tests.parity.glm import NAMES, TWO
from tests.zoo.shrink import resized

SPECS: dict[str, dict[str, Any]] = {name: resized(zoo.read(name), sizes) for name, sizes in NAMES.items()}
for document in SPECS.values():
    document["stacks"]["decoder"]["layers"] = TWO["decoder"]
SPECS["retention-module"] = zoo.read("retention-module")


@pytest.mark.parametrize("target", ["torch", "onnx"])
@pytest.mark.parametrize("name", SPECS)
def test_steps_of_all_inputs(name: str, target: str, tmp_path: Path) -> None:
    compile(SPECS[name], tmp_path / "p", target=target, init=1, dtype="fp32")
    found = verify(open_folder(tmp_path / "p"))
    assert all(check.passed for check in found.checks)
    assert "steps with state" in [check.name for check in found.checks]
