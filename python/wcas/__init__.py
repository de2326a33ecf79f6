"""A content-addressed store for Python wheels: the program ``wcas``, and its plug-in for fromager."""

from wcas._program import find_program

__all__ = ["find_program"]
