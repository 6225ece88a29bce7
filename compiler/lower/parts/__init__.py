"""One module for each input part of the language: `lower(s, part, given, home, at) -> value`."""
