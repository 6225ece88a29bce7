"""Drops what no output needs: lines that a fused operator made idle, and the initializers that only they read."""

from compiler.emit.onnx.sheet import Line, Sheet


def prune(sheet: Sheet) -> None:
    """Keep the lines, weights and constants that lead to `sheet.outputs`."""
    needed = {value for value, _ in sheet.outputs.values()}
    kept: list[Line] = []
    for line in reversed(sheet.lines):
        if needed.intersection(line.outputs):
            kept.append(line)
            needed.update(line.inputs)
            if "body" in line.attrs:
                needed.update(line.attrs["body"].reads())
    sheet.lines[:] = reversed(kept)
    sheet.weights = {name: weight for name, weight in sheet.weights.items() if name in needed}
    sheet.tables = {name: table for name, table in sheet.tables.items() if name in needed}
    sheet.constants = {name: value for name, value in sheet.constants.items() if name in needed}
