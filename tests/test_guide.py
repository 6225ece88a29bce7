"""The guide's mixer works: its code is taken from the page, added to a copy of the sources in three places, and run."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
GUIDE = ROOT / "docs" / "adding-a-mixer.md"
UNION = "# Every op that mixes positions"


def test_the_guides_mixer(tmp_path: Path) -> None:
    for room in ("archspec", "compiler", "search", "store", "tests"):
        shutil.copytree(ROOT / room, tmp_path / room, ignore=shutil.ignore_patterns("__pycache__", "frozen"))
    places = set()
    for path, code in re.findall(r"```python\n# (\S+)\n(.*?)```", GUIDE.read_text(encoding="utf-8"), re.S):
        file = tmp_path / path
        places.add("/".join(path.split("/")[:3]))
        if file.exists():
            assert path == "archspec/spec/mixers.py"
            text = file.read_text(encoding="utf-8")
            assert text.count(UNION) == 1
            text = text.replace(UNION, f"{code}\n\n{UNION}")
            file.write_text(text.replace("    | LinearAttention\n", "    | LinearAttention\n    | MovingAverage\n"))
        else:
            file.parent.mkdir(exist_ok=True)
            (file.parent / "__init__.py").touch()
            file.write_text(code, encoding="utf-8")
    assert places == {"archspec/spec/mixers.py", "compiler/ops/moving_average", "tests/parity/test_moving_average.py"}
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "tests/parity/test_moving_average.py"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    commands = [["validate", "spec.json"], ["show", "spec.json"], ["compile", "spec.json", "--init", "1", "-o", "out"],
                ["verify", "out"]]  # fmt: skip
    (tmp_path / "spec.json").write_text(SPEC, encoding="utf-8")
    for arguments in commands:
        done = subprocess.run([sys.executable, "-m", "archspec.cli.main", *arguments], cwd=tmp_path,
                              capture_output=True, text=True, timeout=300, check=False)  # fmt: skip
        assert done.returncode == 0, (arguments, done.stdout + done.stderr)


SPEC = """
{"archspec": 1, "name": "averaged", "vocab_size": 11, "max_length": 32,
 "stacks": {"decoder": {"d_model": 8, "input": {"sum": ["tokens"]},
   "blocks": {"main": [{"pre_norm": "rms", "op": {"type": "moving_average", "width": "=2*d_model"}}]},
   "layers": [{"repeat": 2, "of": ["main"]}]}},
 "head": {"logits": "linear"}}
"""
