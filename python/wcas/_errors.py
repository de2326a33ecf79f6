"""What can go wrong: one exception for each exit code of the program; a server's answers are the same ones."""

from __future__ import annotations

import typing


class WcasError(Exception):
    """Something did not work. ``code`` is the exit code that means it, ``document`` what the program printed all the same."""

    code: int = 1

    def __init__(self, message: str, document: typing.Mapping[str, typing.Any] | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.document: typing.Mapping[str, typing.Any] = document or {}


class Failed(WcasError):
    """It failed: exit code 1, or a server's 500 and the like."""


class Usage(WcasError):
    """It cannot be asked so: exit code 2, or a server's 400."""

    code = 2


class Refused(WcasError):
    """Done, and something was refused or is wrong: exit code 3. ``report`` says what was done, and what was not."""

    code = 3
    report: typing.Any = None


class Denied(Refused):
    """A server's 401 or 403: no token, or one that allows less."""


class NotFound(WcasError):
    """There is no such thing: exit code 4, or a server's 404."""

    code = 4


class Busy(WcasError):
    """Another process is at it, or the server has too much to do: exit code 5, or 429 and 503. Try again."""

    code = 5


class TimedOut(WcasError):
    """It took longer than it was given."""

    code = 130


#: The exception of each exit code.
BY_CODE: dict[int, type[WcasError]] = {kind.code: kind for kind in (Failed, Usage, Refused, NotFound, Busy)}
