"""Tiny saved models, built once for all tests here."""

from pathlib import Path

import pytest
import torch

from tests.interop.tiny import CASES, Case

torch.set_num_threads(1)


@pytest.fixture(scope="session", params=list(CASES))
def saved(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[Case, Path]:
    """A case and the folder that it was saved in."""
    folder = tmp_path_factory.mktemp("model")
    case = CASES[request.param]
    case.save(folder)
    return case, folder
