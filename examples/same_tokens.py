"""Greedy ids of a PyTorch package beside those of the same model's ONNX package run by onnxruntime-genai.

    python examples/same_tokens.py TORCH_DIR GENAI_DIR "The capital of France is" 64

The client is onnxruntime-genai as it is: nothing of archspec runs here. Exit code 1 where the ids differ.
"""

import importlib.util
import sys
from pathlib import Path

import onnxruntime_genai as genai
import torch
from tokenizers import Tokenizer


def torch_ids(folder: Path, prompt: list[int], new: int) -> list[int]:
    """Ids after the prompt, from the package's own model.py."""
    spec = importlib.util.spec_from_file_location("package_model", folder / "model.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    ids = module.load().generate(torch.tensor([prompt]), new, end_ids=())
    return ids[0, len(prompt) :].tolist()


def genai_ids(folder: Path, prompt: list[int], new: int) -> list[int]:
    """Ids after the prompt, from onnxruntime-genai."""
    params = genai.GeneratorParams(model := genai.Model(str(folder)))
    params.set_search_options(max_length=len(prompt) + new, do_sample=False)
    generator = genai.Generator(model, params)
    generator.append_tokens(prompt)
    while not generator.is_done() and len(generator.get_sequence(0)) < len(prompt) + new:
        generator.generate_next_token()
    return [int(i) for i in generator.get_sequence(0)[len(prompt) :]]


def main() -> None:
    torch_folder, genai_folder, text, new = Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3], int(sys.argv[4])
    tokenizer = Tokenizer.from_file(str(torch_folder / "tokenizer.json"))
    prompt = tokenizer.encode(text).ids
    left, right = torch_ids(torch_folder, prompt, new), genai_ids(genai_folder, prompt, new)
    same = next((i for i, (a, b) in enumerate(zip(left, right, strict=False)) if a != b), min(len(left), len(right)))
    print(f"onnxruntime-genai: {text}{tokenizer.decode(right)}")
    print(f"{same} of {len(right)} greedy tokens equal PyTorch's")
    # The client stops at an end id; PyTorch was told to go on.
    sys.exit(0 if same == len(right) and right else 1)


if __name__ == "__main__":
    main()
