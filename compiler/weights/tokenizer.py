"""The tokenizer that belongs to weights, put into a package folder: copied, or built from a GGUF file."""

import json
import shutil
from pathlib import Path

from archspec.errors import InputError
from archspec.interop.gguf_file import is_gguf, read_gguf
from archspec.interop.gguf_tokenizer import from_gguf

# Copied as they are when they lie beside the weights.
FILES = (
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "chat_template.jinja",
    "generation_config.json",
    "vocab.json",
    "merges.txt",
    "vocab.txt",
    "tokenizer.model",
)


def write_tokenizer(source: Path, folder: Path) -> list[Path]:
    """Tokenizer files for `folder` from a folder or GGUF file; what was written. InputError if there is none."""
    if source.is_dir():
        found = [source / name for name in FILES if (source / name).is_file()]
        if not found:
            raise InputError("no tokenizer files", source=str(source))
        return [Path(shutil.copyfile(file, folder / file.name)) for file in found]
    if not is_gguf(source):
        raise InputError("neither a folder nor a GGUF file, so there is no tokenizer", source=str(source))
    tokenizer, config = from_gguf(read_gguf(source).metadata, str(source))
    files = [folder / "tokenizer.json", folder / "tokenizer_config.json"]
    tokenizer.save(str(files[0]))
    files[1].write_text(json.dumps(config, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    return files
