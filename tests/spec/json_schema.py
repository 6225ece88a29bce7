"""A validator for the part of JSON Schema that our two schemas use, independent of the types they are read off."""

import re
from typing import Any

CHECKED = {
    "$ref", "$defs", "$schema", "title", "description", "default", "anyOf", "oneOf", "type", "const", "enum", "pattern",
    "minimum", "maximum", "exclusiveMinimum", "minLength", "properties", "required", "additionalProperties", "items",
    "prefixItems", "minItems", "maxItems",
}  # fmt: skip
TYPES = {
    "object": dict, "array": list, "string": str, "boolean": bool, "null": type(None), "integer": int,
    "number": (int, float),
}  # fmt: skip


def accepts(schema: dict[str, Any], value: Any, root: dict[str, Any] | None = None) -> bool:
    root = root or schema
    assert set(schema) <= CHECKED, set(schema) - CHECKED
    if "$ref" in schema and not accepts(root["$defs"][schema["$ref"].removeprefix("#/$defs/")], value, root):
        return False
    if "anyOf" in schema and not any(accepts(option, value, root) for option in schema["anyOf"]):
        return False
    if "oneOf" in schema and sum(accepts(option, value, root) for option in schema["oneOf"]) != 1:
        return False
    if "const" in schema and (value != schema["const"] or type(value) is not type(schema["const"])):
        return False
    if "enum" in schema and value not in schema["enum"]:
        return False
    if "type" in schema:
        whole = schema["type"] == "integer" and isinstance(value, float) and value.is_integer()
        if not isinstance(value, TYPES[schema["type"]]) and not whole:
            return False
        if isinstance(value, bool) and schema["type"] != "boolean":
            return False
    if isinstance(value, int | float) and not isinstance(value, bool):
        if value < schema.get("minimum", value) or value > schema.get("maximum", value):
            return False
        if "exclusiveMinimum" in schema and value <= schema["exclusiveMinimum"]:
            return False
    if isinstance(value, str):
        if "pattern" in schema and not re.search(schema["pattern"], value):
            return False
        if len(value) < schema.get("minLength", 0):
            return False
    if isinstance(value, list):
        if not schema.get("minItems", 0) <= len(value) <= schema.get("maxItems", len(value)):
            return False
        if "items" in schema and not all(accepts(schema["items"], item, root) for item in value):
            return False
        if "prefixItems" in schema and not all(map(accepts, schema["prefixItems"], value, [root] * len(value))):
            return False
    if isinstance(value, dict):
        if not set(schema.get("required", ())) <= set(value):
            return False
        for key, item in value.items():
            inner = schema.get("properties", {}).get(key, schema.get("additionalProperties", True))
            if inner is False or (inner is not True and not accepts(inner, item, root)):
                return False
    return True
