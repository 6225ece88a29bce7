"""Long lines broken as the usual formatter breaks them: the outermost brackets open, then one argument a line."""

from collections.abc import Iterator

WIDTH = 120
OPEN, CLOSE = "([{", ")]}"


def wrap(line: str) -> list[str]:
    """One line of generated code, its trailing shape comment kept; a line that fits is left alone."""
    code, mark, shape = line.rpartition("  # ")
    if not mark:
        code, shape = line, ""
    if len(line) <= WIDTH:
        return [line]
    indent = " " * (len(code) - len(code.lstrip()))
    if len(code) <= WIDTH:
        return [f"{indent}# {shape}", code] if shape else [code]
    start, stop = _outermost(code)
    if start is None or stop is None:
        return [line]
    inside = code[start + 1 : stop]
    if _groups(code, start) and len(arguments(inside)) == 1:  # a comma would make a tuple of it
        parts = [line for part in operands(inside) for line in wrap(f"{indent}    {part}")]
        return [code[: start + 1], *parts, indent + code[stop:] + (f"  # {shape}" if shape else "")]
    first, last = code[: start + 1], indent + code[stop:] + (f"  # {shape}" if shape else "")
    one = f"{indent}    {inside.rstrip(', ')}"
    if len(one) <= WIDTH and not code.lstrip().startswith("def "):
        return [first, one, last]
    return [first, *(w for part in arguments(inside) for w in wrap(f"{indent}    {part},")), last]


def arguments(text: str) -> list[str]:
    """The parts between the commas that no bracket, quote or lambda's parameters hold."""
    parts, start, lambdas = [], 0, 0
    for i, c in _outside(text):
        lambdas += text.startswith("lambda ", i)
        if c == ":" and lambdas:
            lambdas -= 1
        elif c == "," and not lambdas:
            parts.append(text[start:i].strip())
            start = i + 1
    return [p for p in (*parts, text[start:].strip()) if p]


def operands(text: str) -> list[str]:
    """The parts of an expression between its operators that bind least, each operator before what follows it."""
    for words in ((" if ", " else "), (" | ",), (" & ",)):
        at = [i for i, _ in _outside(text) if text.startswith(words, i)]
        if at:
            return [text[i:j].strip() for i, j in zip([0, *at], [*at, len(text)], strict=True)]
    return [text]


def _unquoted(text: str) -> Iterator[tuple[int, str]]:
    """The characters that stand in no string, with their places."""
    quote = ""
    for i, c in enumerate(text):
        if quote:
            quote = "" if c == quote and text[i - 1] != "\\" else quote
        elif c in "\"'":
            quote = c
        else:
            yield i, c


def _outside(text: str) -> Iterator[tuple[int, str]]:
    """The characters that no bracket or quote holds, with their places."""
    depth = 0
    for i, c in _unquoted(text):
        if c in OPEN:
            depth += 1
        elif c in CLOSE:
            depth -= 1
        elif depth == 0:
            yield i, c


def _groups(code: str, start: int) -> bool:
    """Whether the bracket at `start` only groups: it calls nothing, and is no list or index."""
    return code[start] == "(" and not (start and (code[start - 1].isalnum() or code[start - 1] in "_])"))


def _outermost(code: str) -> tuple[int | None, int | None]:
    """The widest bracket pair of the line that nothing encloses."""
    best: tuple[int | None, int | None] = (None, None)
    depth, start = 0, 0
    for i, c in _unquoted(code):
        if c in OPEN:
            start = i if depth == 0 else start
            depth += 1
        elif c in CLOSE:
            depth -= 1
            if depth == 0 and (best[0] is None or best[1] is None or i - start > best[1] - best[0]):
                best = (start, i)
    return best
