"""The one error that a user's input can cause: a clear message, exit code 2, never a traceback."""


class InputError(Exception):
    """Bad input. `source` names the file or argument, `path` the JSON path inside it (both may be empty)."""

    def __init__(self, message: str, *, source: str = "", path: str = "") -> None:
        self.message, self.source, self.path = message, source, path
        where = " ".join(part for part in (source, path and f"at {path}") if part)
        super().__init__(f"{where}: {message}" if where else message)


class NoAnswer(Exception):
    """The input is fine and the answer is "no" (verification failed, nothing fits): exit code 1."""
