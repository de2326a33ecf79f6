"""The server's token, kept in this process alone.

fromager gives each build a copy of its environment, and a build runs code of strangers: a ``setup.py`` that sends ``WCAS_TOKEN`` away could
put wheels into the store for as long as the token lasts. So the variable is taken out as soon as the plug-in is loaded, before anything is
built; from the memory that ``/proc`` shows as the environment that the process began with, too.
"""

from __future__ import annotations

import ctypes
import os
import threading

VARIABLE = "WCAS_TOKEN"

_lock = threading.Lock()
_token: str | None = None


def token() -> str | None:
    """Return the token, if there is one; a variable that was set since is taken as well."""
    global _token
    with _lock:
        if VARIABLE in os.environ:
            _forget_bytes()
            _token = os.environ.pop(VARIABLE)
        return _token or None


def _forget_bytes() -> None:
    """Overwrite the value where the C library has it; where that can't be done, the variable is only unset."""
    try:
        getenv = ctypes.CDLL(None).getenv
        getenv.argtypes, getenv.restype = [ctypes.c_char_p], ctypes.c_void_p
        place = getenv(VARIABLE.encode())
        if place:
            ctypes.memset(place, 0, len(ctypes.string_at(place)))
    except (OSError, AttributeError, TypeError, ValueError):
        pass


token()
