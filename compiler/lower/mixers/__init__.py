"""One module for each op type of the language: `lower(s, op, h, home, at) -> value`.

s: the scope; op: the resolved declaration; h: the branch input (B, S, d_model); home: prefix of its parameters;
at: prefix of its value names.
"""
