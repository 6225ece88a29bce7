"""A Hugging Face config.json becomes a spec, and a spec becomes one again."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from archspec.errors import InputError
from archspec.interop.hf import FAMILIES, family, per_layer
from archspec.interop.hf.config import Config
from archspec.interop.hf.family import CannotSay, Family, HeadKind
from archspec.interop.hf.inert import ALWAYS, FIXED
from archspec.interop.hf.rope import in_old_spelling
from archspec.interop.tensor_map import TensorMap
from archspec.spec import Resolved, Spec, load_spec, resolve
from archspec.spec.canonical import canonical
from archspec.spec.load import parse_json


def to_spec(fields: Mapping[str, Any], *, name: str = "", source: str = "") -> dict[str, Any]:
    """The spec of a configuration, with the configuration itself under `origin`. `source` names the file in errors."""
    importer, config, head = _opened(fields, source)
    body = importer.spec(config, head)
    if layers := per_layer.read(fields, source):
        body = per_layer.spec(body, layers, importer, head)
        config.get(per_layer.FIELD)
    config.fixed("is_encoder_decoder", importer.encoder_decoder)
    for field, allowed in FIXED.items():
        config.fixed(field, *allowed)
    config.finish(tuple(ALWAYS | importer.inert))
    origin = {"format": "huggingface", "config": dict(fields), "token_ids": _token_ids(fields)}
    said = f"Hugging Face config.json, model_type {importer.model_type}"
    return {"archspec": 1, "name": name or importer.model_type, "source": said, **body, "origin": origin}


def import_config(path: Path, name: str) -> dict[str, Any]:
    """`to_spec` of a file, keeping what is needed to write the same bytes again."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"cannot be read: {error}", source=str(path)) from None
    spec = to_spec(parse_json(text, str(path)), name=name, source=str(path))
    if text != _written(spec["origin"]["config"]):
        spec["origin"]["text"] = text
    beside = path.with_name("generation_config.json")
    if beside.is_file():
        # What `generate` really stops at: instruction models list more ends here than in config.json.
        spec["origin"]["token_ids"] |= _token_ids(parse_json(beside.read_text(encoding="utf-8"), str(beside)))
    return spec


def tensor_map(fields: Mapping[str, Any], source: str = "") -> TensorMap:
    """Our parameter paths over the names in the checkpoint that this configuration belongs to."""
    importer, config, head = _opened(fields, source)
    found = importer.tensors(config, head)
    if layers := per_layer.read(fields, source):
        stack = next(name for name, stack in importer.spec(config, head)["stacks"].items() if stack.get("layers"))
        found = per_layer.tensors(found, layers, importer, head, stack)
    return found


def export_config(spec: Spec) -> str:
    """The text of config.json for a spec.

    An unedited import gives the file that it came from. In an edited one the fields are replaced that the spec
    determines and the edit changed; the rest stays. A spec from elsewhere is written for the first family that can say
    it. InputError if config.json cannot say it.
    """
    resolved = resolve(spec)
    origin = spec.origin if spec.origin.get("format") == "huggingface" else {}
    original: dict[str, Any] = origin.get("config", {})
    if original:
        before = resolve(load_spec(to_spec(original)))
        if _same(before, resolved):
            return str(origin.get("text", _written(original)))
        importer = family(original.get("model_type"))
        layered = original if per_layer.FIELD in original else None
        old, new = _determined(importer, before, layered), _determined(importer, resolved, layered)
        changed = {key: value for key, value in new.items() if key not in old or old[key] != value}
        fields = original | _spelled_as(original, changed)
        _check_says(fields, resolved)
        return _written(fields)
    ids = _config_tokens(spec.origin.get("token_ids", {}))
    nothing: Mapping[str, Any] = {}
    for alone in (None, nothing):  # one set of fields for all layers, if that is enough
        for model_type in FAMILIES:
            try:
                fields = {**_determined(family(model_type), resolved, alone), **ids}
                _check_says(fields, resolved)
            except InputError:
                continue
            return _written(dict(sorted(fields.items())))
    raise InputError(f"no Hugging Face family can say this architecture; tried {', '.join(FAMILIES)}", source=spec.name)


def _opened(fields: Mapping[str, Any], source: str) -> tuple[Family, Config, HeadKind]:
    importer = _family(fields, source)
    config = Config(fields, source)
    classes = config.get("architectures") or []
    if not isinstance(classes, list) or not all(isinstance(name, str) for name in classes):
        raise config.fail("architectures", f"found {classes!r}, expected a list of class names")
    known = [name for name in classes if name in importer.heads]
    if classes and not known:
        raise config.fail(
            "architectures", f"the head of {classes[0]} is not understood; known are {', '.join(importer.heads)}"
        )
    return importer, config, importer.heads[known[0]] if known else importer.head


def _family(fields: Mapping[str, Any], source: str) -> Family:
    """The importer; of models that read more than text, the error says what can be imported."""
    model_type, inside = fields.get("model_type"), fields.get("text_config")
    text_type = inside.get("model_type") if isinstance(inside, dict) else None
    if model_type not in [*FAMILIES] and text_type in [*FAMILIES]:
        raise InputError(
            f"model_type {model_type!r} has no importer; its text_config, of model_type {text_type!r}, has one: import "
            "that object as a config.json of its own",
            source=source,
            path="/model_type",
        )
    return family(model_type, source)


def _determined(importer: Family, resolved: Resolved, layered: Mapping[str, Any] | None) -> dict[str, Any]:
    """The fields that the spec determines, the class name with its head among them.

    layered: single layers have fields too, over those of this file.
    """
    head: HeadKind = "none" if resolved.head is None else "tokens"
    try:
        fields = importer.config(resolved) if layered is None else per_layer.fields(importer, resolved, layered)
    except CannotSay as reason:
        raise InputError(
            f"{importer.model_type} cannot say this architecture: {reason}", source=resolved.name
        ) from None
    name = next((name for name, kind in importer.heads.items() if kind == head), None)
    if name is None:
        wanted = "without a head" if head == "none" else "with a head over words"
        raise InputError(f"{importer.model_type} has no class {wanted}", source=resolved.name)
    return {"model_type": importer.model_type, "architectures": [name], **fields}


def _check_says(fields: Mapping[str, Any], resolved: Resolved) -> None:
    """Reads the configuration back: it must mean the same architecture."""
    read = resolve(load_spec(to_spec(fields, source="config.json")))
    if not _same(read, resolved):
        place, ours, theirs = _first_difference(canonical(resolved), canonical(read), "")
        raise InputError(
            f"{fields['model_type']} cannot say this architecture: at {place or '/max_length'} the spec has {ours}, "
            f"config.json would mean {theirs}",
            source=resolved.name,
        )


def _same(a: Resolved, b: Resolved) -> bool:
    return a.max_length == b.max_length and canonical(a) == canonical(b)


def _first_difference(a: Any, b: Any, at: str) -> tuple[str, Any, Any]:
    if isinstance(a, dict) and isinstance(b, dict):
        for key in [*a, *(key for key in b if key not in a)]:
            if a.get(key) != b.get(key):
                return _first_difference(a.get(key), b.get(key), f"{at}/{key}")
    if isinstance(a, list) and isinstance(b, list) and len(a) == len(b):
        for i, (x, y) in enumerate(zip(a, b, strict=True)):
            if x != y:
                return _first_difference(x, y, f"{at}/{i}")
    return at, json.dumps(a), json.dumps(b)


def _spelled_as(original: Mapping[str, Any], changed: dict[str, Any]) -> dict[str, Any]:
    """The changed fields in the spelling of the file: rotary fields as before transformers 5 where it has those."""
    if (
        "rope_parameters" in changed
        and "rope_parameters" not in original
        and {"rope_theta", "rope_scaling"} & set(original)
    ):
        return in_old_spelling(changed)
    return changed


def _token_ids(fields: Mapping[str, Any]) -> dict[str, Any]:
    ids: dict[str, Any] = {}
    for name in ("bos", "pad"):
        if isinstance(found := fields.get(f"{name}_token_id"), int):
            ids[name] = found
    if (ends := fields.get("eos_token_id")) is not None:
        ids["eos"] = ends if isinstance(ends, list) else [ends]
    return ids


def _config_tokens(ids: Mapping[str, Any]) -> dict[str, Any]:
    fields = {f"{name}_token_id": ids[name] for name in ("bos", "pad") if name in ids}
    if ends := ids.get("eos"):
        fields["eos_token_id"] = ends[0] if len(ends) == 1 else ends
    return fields


def _written(fields: Mapping[str, Any]) -> str:
    """As transformers writes it (`PreTrainedConfig.to_json_string`), but in the order given."""
    return json.dumps(fields, indent=2) + "\n"
