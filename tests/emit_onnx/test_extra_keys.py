"""Keys besides those of the sequence on ONNX Runtime, against the reference interpreter; sinks against transformers."""

from pathlib import Path
from typing import Any

import pytest

from tests.emit_onnx.exact import check
from tests.emit_onnx.test_recurrent import lowered, weights
from tests.emit_torch.packages import ids, spec
from tests.parity.test_extra_keys import BUCKETS, FORMS

LEARNED = {"type": "learned", "count": 3}
MORE: dict[str, dict[str, Any]] = {
    **FORMS,
    "sink, bias and cap": {"extra_keys": ["sink"], "position": [BUCKETS], "softcap": 2},
    "learned, sink, bias and cap": {"extra_keys": [LEARNED, "sink"], "position": [BUCKETS], "softcap": 2},
    "learned before the scale": {"extra_keys": [LEARNED], "position": [{**BUCKETS, "at": "before_scale"}]},
}


@pytest.mark.parametrize("runtime", ["ort", "portable"])
@pytest.mark.parametrize("form", MORE)
def test_extra_keys(form: str, runtime: str, tmp_path: Path) -> None:
    program = lowered(spec(attention=MORE[form]))
    emission = check(program, weights(program), ids(2, 17), tmp_path, None, runtime)
    assert emission.stepping
