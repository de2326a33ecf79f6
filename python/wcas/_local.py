"""A store on this machine, by the program: each call is one run of ``wcas --json``."""

from __future__ import annotations

import json
import os
import pathlib
import signal
import subprocess
import typing
from collections.abc import Iterable, Sequence

from wcas._documents import Collection, Document, Found, Imported, Listed, Promoted, Pulled, Written, read
from wcas._errors import BY_CODE, Failed, Refused, TimedOut, WcasError
from wcas._program import find_program

T = typing.TypeVar("T")
PathLike = typing.Union[str, "os.PathLike[str]"]
#: One text, or several.
Texts = typing.Union[str, Iterable[str]]

#: What an interrupted program is given to end by itself, in seconds.
END_TIME = 5.0


def texts(value: Texts | None) -> list[str]:
    """Return a list of texts, of which one may be given alone."""
    return [] if value is None else [value] if isinstance(value, str) else list(value)


def paths(value: PathLike | Iterable[PathLike] | None) -> list[str]:
    """Return a list of paths, of which one may be given alone."""
    if value is None:
        return []
    return [os.fspath(value)] if isinstance(value, (str, os.PathLike)) else [os.fspath(path) for path in value]


def options(**values: str | bool | Iterable[str] | None) -> list[str]:
    """Return the program's options: one for each text, a switch for ``True``, nothing for ``None`` and ``False``."""
    words: list[str] = []
    for name, value in values.items():
        option = "--" + name.replace("_", "-")
        if value is True:
            words.append(option)
        elif value:
            # Joined by `=`, a text that begins with a dash is no option.
            words += [f"{option}={text}" for text in texts(value)]
    return words


class Store:
    """A store on this machine.

    ``path`` is its folder (without one: what the program takes, ``$WCAS_STORE`` or the user's own), ``program`` the program (without
    one: :func:`wcas.find_program`), ``timeout`` the seconds that a call may take (without one: any time).

    A call raises the exception of the program's exit code: :class:`wcas.NotFound`, :class:`wcas.Busy`, …; :class:`wcas.Refused` has in
    ``report`` what was done all the same.
    """

    def __init__(self, path: PathLike | None = None, *, program: PathLike | None = None, timeout: float | None = None) -> None:
        self.path = None if path is None else pathlib.Path(path)
        self.program = os.fspath(program) if program is not None else find_program()
        self.timeout = timeout

    def __repr__(self) -> str:
        return f"Store({str(self.path) if self.path else None!r})"

    def run(self, *words: PathLike, timeout: float | None = None) -> dict[str, typing.Any]:
        """Run any command of the program, and return its document. The words are arguments: no shell reads them."""
        text = self._run(["--json", *(os.fspath(word) for word in words)], timeout)
        return typing.cast("dict[str, typing.Any]", json.loads(text)) if text.strip() else {}

    def lookup(
        self,
        spec: str,
        *,
        collection: Texts | None = None,
        variant: str | None = None,
        requirements: PathLike | Iterable[PathLike] | None = None,
        build_tag: str | None = None,
        python: str | None = None,
        platform: str | None = None,
        offline: bool = False,
        timeout: float | None = None,
    ) -> Found:
        """Return the best match of ``torch==2.5.1`` or the like, from the collections or, unless ``offline``, from their remotes."""
        words = options(collection=collection, variant=variant, requirements=paths(requirements), offline=offline)
        words += options(build_tag=build_tag, python=python, platform=platform)
        return Found.of(self.run("lookup", *words, "--", spec, timeout=timeout))

    def import_(
        self,
        files: PathLike | Iterable[PathLike],
        *,
        collection: str | None = None,
        variant: str | None = None,
        requirements: PathLike | Iterable[PathLike] | None = None,
        link: str | None = None,
        on_conflict: str | None = None,
        pre_built: bool = False,
        source_url: str | None = None,
        trust_filename: bool = False,
        timeout: float | None = None,
    ) -> Imported:
        """Import wheels and source distributions, or folders of them. Some refused is :class:`wcas.Refused`; the others are in."""
        words = options(collection=collection, variant=variant, requirements=paths(requirements), link=link)
        words += options(on_conflict=on_conflict, pre_built=pre_built, source_url=source_url, trust_filename=trust_filename)
        return self._reported(Imported.of, "import", *words, "--", *paths(files), timeout=timeout)

    def pull(
        self,
        specs: Texts = (),
        *,
        requirements: PathLike | Iterable[PathLike] | None = None,
        collection: Texts | None = None,
        variant: str | None = None,
        remote: str | None = None,
        python: str | None = None,
        platform: str | None = None,
        timeout: float | None = None,
    ) -> Pulled:
        """Fetch what collections lack from their remotes. What nothing meets is :class:`wcas.Refused`; the rest is there."""
        words = options(requirements=paths(requirements), collection=collection, variant=variant)
        words += [*options(python=python, platform=platform), *([f"--from={remote}"] if remote else [])]
        return self._reported(Pulled.of, "pull", *words, "--", *texts(specs), timeout=timeout)

    def promote(
        self,
        source: str,
        to: str,
        specs: Texts = (),
        *,
        replace: bool = False,
        dry_run: bool = False,
        timeout: float | None = None,
    ) -> Promoted:
        """Copy references from a collection (``cuda``, ``cuda@41``) to another: of all, or of what the specs take."""
        words = options(replace=replace, dry_run=dry_run)
        return self._reported(Promoted.of, "collection", "promote", *words, "--", source, to, *texts(specs), timeout=timeout)

    def collections(self, *, timeout: float | None = None) -> list[Collection]:
        """Return the collections."""
        return [Collection.of(row) for row in self.run("collection", "list", timeout=timeout)["collections"]]

    def collection(self, name: str, *, timeout: float | None = None) -> Collection:
        """Return a collection."""
        return Collection.of(self.run("collection", "show", "--", name, timeout=timeout))

    def list(self, specs: Texts = (), *, collection: Texts | None = None, timeout: float | None = None) -> Sequence[Listed]:
        """Return what collections list."""
        document = self.run("list", *options(collection=collection), "--", *texts(specs), timeout=timeout)
        return [read(Listed, row) for row in document["distributions"]]

    def view(
        self,
        to: PathLike,
        *,
        collection: str | None = None,
        variant: str | None = None,
        at: str | int | None = None,
        layout: str | None = None,
        link: str | None = None,
        replace: bool = False,
        timeout: float | None = None,
    ) -> Written:
        """Write a collection as a tree that any web server serves, or bring it up to date."""
        revision = None if at is None else str(at)
        words = options(collection=collection, variant=variant, at=revision, layout=layout, link=link, replace=replace)
        return Written.of(self.run("view", f"--to={os.fspath(to)}", *words, timeout=timeout))

    def page(
        self,
        *,
        collection: str | None = None,
        variant: str | None = None,
        at: str | int | None = None,
        format: str = "html",
        base_url: str | None = None,
        timeout: float | None = None,
    ) -> str:
        """Return a collection as a text: ``html`` (for ``--find-links``), ``json``, ``requirements`` or ``paths``."""
        revision = None if at is None else str(at)
        words = options(collection=collection, variant=variant, at=revision, format=format, base_url=base_url)
        return self._run(["view", *words], timeout)

    def _reported(self, make: typing.Callable[[Document], T], *words: str, timeout: float | None) -> T:
        """Run a command whose report is worth something also where some of it was refused."""
        try:
            return make(self.run(*words, timeout=timeout))
        except Refused as error:
            error.report = make(error.document) if error.document else None
            raise

    def _run(self, words: Sequence[str], timeout: float | None) -> str:
        command = [self.program, *([f"--store={self.path}"] if self.path is not None else []), *words]
        limit = self.timeout if timeout is None else timeout
        try:
            child = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                encoding="utf-8",
                errors="surrogateescape",
            )
        except OSError as error:
            raise Failed(f"{self.program} can't be started: {error}") from error
        with child:
            try:
                answer, said = child.communicate(timeout=limit)
            except subprocess.TimeoutExpired as late:
                _end(child)
                raise TimedOut(f"wcas {' '.join(words)} took longer than {limit:g} s") from late
            except BaseException:
                _end(child)
                raise
        if child.returncode != 0:
            raise _error(child.returncode, answer, said)
        return answer


def _end(child: subprocess.Popen[str]) -> None:
    """End the program as Ctrl-C does; one that doesn't listen is killed, which a store survives."""
    child.send_signal(signal.SIGINT)
    try:
        child.communicate(timeout=END_TIME)
    except subprocess.TimeoutExpired:
        child.kill()


def _error(code: int, answer: str, said: str) -> WcasError:
    try:
        document = json.loads(answer)
    except ValueError:
        document = {}
    document = document if isinstance(document, dict) else {}
    reasons = [row["reason"] for row in document.get("refused", []) if isinstance(row, dict) and "reason" in row]
    message = said.strip() or "; ".join(reasons)
    return BY_CODE.get(code, Failed)(message or f"wcas ended with {code}", document)
