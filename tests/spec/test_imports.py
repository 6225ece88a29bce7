"""The language starts fast: it loads nothing heavy and builds only the types that a spec uses."""

import subprocess
import sys

from tests.spec.documents import ROOT

PROBE = """
import sys
from archspec.spec import load_spec, resolve, spec_hash
resolved = resolve(load_spec({file!r}))
spec_hash(resolved)
from archspec.spec.node import Node
heavy = {{"torch", "onnx", "onnxruntime", "numpy", "networkx", "sqlalchemy", "rich", "typer"}} & set(sys.modules)
def below(cls):
    return {{cls}}.union(*map(below, cls.__subclasses__()))
print(len(heavy), sum(cls.__pydantic_complete__ for cls in below(Node)), len(below(Node)), *heavy)
"""


def test_loads_nothing_heavy_and_builds_few_types() -> None:
    file = str(ROOT / "examples" / "llama-3-8b.json")
    run = subprocess.run(
        [sys.executable, "-c", PROBE.format(file=file)], capture_output=True, text=True, cwd=ROOT, check=True
    )
    heavy, built, known, *names = run.stdout.split()
    assert heavy == "0", names
    assert int(known) > 100
    assert int(built) < 25  # of the types, those that this spec uses
