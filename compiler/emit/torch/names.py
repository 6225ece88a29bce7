"""Names of a spec in generated Python: identifiers are made, never copied; else a quoted string or a comment."""

import keyword
import re
from collections.abc import Iterable

# Attributes of nn.Module and names that the generated file uses itself: a spec's name never takes their place.
_WORDS = """
    add_module apply bfloat16 buffers call_super_init children compile cpu cuda double dump_patches eval extra_repr
    float forward get_buffer get_extra_state get_parameter get_submodule half ipu load_state_dict modules mtia
    named_buffers named_children named_modules named_parameters parameters register_backward_hook register_buffer
    register_forward_hook register_forward_pre_hook register_full_backward_hook register_full_backward_pre_hook
    register_load_state_dict_post_hook register_load_state_dict_pre_hook register_module register_parameter
    register_state_dict_post_hook register_state_dict_pre_hook requires_grad_ set_extra_state set_submodule
    share_memory state_dict to to_empty train training type xpu zero_grad
    torch nn F Tensor math json Path Any Callable Iterator Sequence self state last past held all_held caches layer
    encoded i j table dtype generate step new_state encode run stream load main none true false
    weight bias hold finish demonstrate
"""
TAKEN = frozenset(_WORDS.split())


def identifier(name: str, fallback: str = "value") -> str:
    """A Python identifier that resembles `name`: ASCII letters, digits and single underscores, never a keyword."""
    plain = re.sub(r"[^A-Za-z0-9]+", "_", name).strip("_").lower()
    if not plain or plain[0].isdigit():
        plain = f"{fallback}_{plain}".strip("_")
    return f"{plain}_" if keyword.iskeyword(plain) or keyword.issoftkeyword(plain) else plain


def class_name(name: str) -> str:
    """CamelCase of a block's name, made of ASCII letters and digits."""
    return "".join(part.capitalize() for part in identifier(name, "stack").split("_") if part) or "Stack"


def unique(wanted: str, used: Iterable[str]) -> str:
    """`wanted`, or the first of wanted_2, wanted_3, ... that is not used."""
    used = set(used) | TAKEN
    if wanted not in used:
        return wanted
    return next(f"{wanted}_{i}" for i in range(2, 10**6) if f"{wanted}_{i}" not in used)


def attribute(owner: str, path: str) -> str:
    """An expression for the parameter or submodule at dotted `path` under `owner`.

    Plain names are attributes; any other path is looked up by a quoted string (helper `at`).
    """
    parts = path.split(".")
    if all(_plain(part, last=i == len(parts) - 1) for i, part in enumerate(parts)):
        return f"{owner}.{path}"
    return f"at({owner}, {quoted(path)})"


def is_plain(path: str) -> bool:
    return attribute("x", path).startswith("x.")


def _plain(part: str, last: bool) -> bool:
    if part.isdigit() or not part.isascii() or not part.isidentifier() or keyword.iskeyword(part):
        return False
    return part in ("weight", "bias") if last and part in TAKEN else part not in TAKEN and not part.startswith("_")


def quoted(text: str) -> str:
    """A Python string literal on one line, ASCII only, in double quotes where that needs no escapes."""
    literal = ascii(text)
    inner = literal[1:-1]
    return f'"{inner}"' if literal[0] == "'" and '"' not in inner and "\\'" not in inner else literal


def comment(text: str, limit: int = 200) -> str:
    """Text that is safe inside a comment or docstring: one line, printable ASCII, no quotes or backslashes."""
    plain = "".join(c if c.isascii() and c.isprintable() and c not in '"\\' else "?" for c in " ".join(text.split()))
    return plain[:limit]
