"""Source text that emitted files are put together from: real code, checked like any other, never imported by archspec.

Each top-level function or class is copied by name, with what it refers to (`compiler.emit.torch.source`).
"""
