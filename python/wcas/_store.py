"""A file's way into the store: by the program into one on this machine, else by an upload to its server."""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import logging
import os
import pathlib
import re
import tempfile
import time
import typing

from wcas._documents import Imported
from wcas._errors import Refused as RefusedSome
from wcas._errors import Usage, WcasError
from wcas._form import Form
from wcas._local import Store
from wcas._lookups import authorization
from wcas._run import RUN, warn_once

logger = logging.getLogger(__name__)

#: A read or write of an upload may wait so long, in seconds: a server that takes the last byte still has to check the wheel.
UPLOAD_TIMEOUT = (10.0, 600.0)
#: An upload that failed for a passing reason is tried again so often.
UPLOAD_TRIES = 3
#: The pause before the second try, in seconds; each further one is longer by it.
UPLOAD_PAUSE = 2.0
#: Smaller files go to the server: another request would take longer than their bytes.
DIRECT_BYTES = 8 << 20
#: Options that programs of earlier releases don't have.
LATER_OPTIONS = ("--on-conflict", "--pre-built", "--source-url")


class StoreError(Exception):
    """A file that could not be stored, and why."""


class Refused(StoreError):
    """A file that the store doesn't want as it is."""


@dataclasses.dataclass(frozen=True)
class Distribution:
    """A wheel or source distribution, and what is known of it."""

    path: pathlib.Path
    variant: str
    is_prebuilt: bool = False
    #: Where the source that it was built from, or the file itself, came from.
    source_url: str | None = None
    #: Other bytes of the same name make way.
    replaces: bool = False

    @property
    def is_wheel(self) -> bool:
        """Whether it is a wheel, and not a source distribution."""
        return self.path.suffix == ".whl"

    @property
    def name_and_version(self) -> tuple[str, str]:
        """The project and version by the filename: a cache may have given another local version than was asked for."""
        from packaging.utils import parse_sdist_filename, parse_wheel_filename

        parse = parse_wheel_filename if self.is_wheel else parse_sdist_filename
        name, version, *_ = parse(self.path.name)
        return str(name), str(version)


def store(file: Distribution) -> bool:
    """Store a file, or raise :class:`StoreError`; ``False`` when nobody said where."""
    if url := os.environ.get("WCAS_URL"):
        Server(f"{url.rstrip('/')}/{file.variant}/legacy/", file).send()
    elif os.environ.get("WCAS_STORE"):
        _import(file)
    else:
        return False
    return True


def _tell_kept(filename: str, sha256: str) -> None:
    logger.info("wcas: %s: an equal build is there and kept (sha256 %s)", filename, sha256)


def _import(file: Distribution) -> None:
    options: dict[str, typing.Any] = {"variant": file.variant}
    known: dict[str, typing.Any] = {"on_conflict": "replace" if file.replaces else "keep", "pre_built": file.is_prebuilt, "source_url": file.source_url}
    with tempfile.NamedTemporaryFile("w", prefix="wcas-", suffix=".txt") as own:
        projects = RUN.own()
        if projects is not None:
            own.write("".join(f"{project}\n" for project in sorted(projects)))
            own.flush()
            options["requirements"] = own.name
        try:
            report = _run_import(file.path, **options, **known)
        except Usage as error:
            if not any(f"unexpected argument '{option}'" in error.message for option in LATER_OPTIONS):
                raise StoreError(error.message) from error
            warn_once("wcas: the program is older than the plug-in: equal builds are refused, and origins not recorded")
            report = _import_as_before(file, options)
    _tell_report(file, report)


def _import_as_before(file: Distribution, options: dict[str, typing.Any]) -> Imported:
    """Import with what the first release had: `--keep-existing` is no option of today's Python API."""
    words = [f"--{name}={value}" for name, value in options.items()]
    try:
        return Imported.of(Store().run("import", *words, *([] if file.replaces else ["--keep-existing"]), "--", file.path))
    except WcasError as error:
        return _despite(error)


def _run_import(path: pathlib.Path, **options: typing.Any) -> Imported:
    try:
        return Store().import_(path, **options)
    except Usage:
        raise
    except WcasError as error:
        return _despite(error)


def _despite(error: WcasError) -> Imported:
    """Return what was done where some of it was refused."""
    report = Imported.of(error.document)
    for refused in report.refused:
        raise Refused(refused.reason) from error
    if not isinstance(error, RefusedSome):
        raise StoreError(error.message) from error
    return report


def _tell_report(file: Distribution, report: Imported) -> None:
    for kept in report.kept:
        _tell_kept(kept.filename, kept.sha256)
    for row in report.files:
        logger.info("wcas: %s is in %s (%s)", row.filename, row.collection, row.outcome)
    for warned in report.warned:
        logger.warning("wcas: %s: %s", file.path.name, warned.reason)


class Server:
    """A server that a file is sent to."""

    #: What servers said that they don't do, for all files of this process.
    _lacks: typing.ClassVar[set[str]] = set()

    def __init__(self, place: str, file: Distribution) -> None:
        self._place = place
        self._file = file

    def send(self) -> None:
        """Send a reference, and the file where that isn't enough: what is there already is not worth gigabytes."""
        put = self._refer()
        if put and self._put(put):
            put = self._refer()
        if put is None:
            return
        answer = self._post(lambda: Form(self._fields(), self._file.path), UPLOAD_TRIES)
        if answer.status_code != 200:
            raise (Refused if answer.status_code == 400 else StoreError)(self._text(answer))
        self._tell(answer.text.strip())

    def _refer(self) -> dict[str, typing.Any] | None:
        """Return nothing where the server takes the file so; else how it may be put into the store's bucket, if it may."""
        name, version = self._file.name_and_version
        fields = {
            ":action": "file_reference",
            "filename": self._file.path.name,
            "name": name,
            "version": version,
            "sha256_digest": self._sha256,
        }
        if (size := self._file.path.stat().st_size) >= DIRECT_BYTES:
            # Servers of earlier releases don't know these, and don't mind.
            fields |= {"direct": "yes", "size": str(size)}
        try:
            answer = self._post(lambda: Form(fields), 1)
        except StoreError as error:
            # The file itself is tried more often.
            logger.debug("wcas: %s is not known by its digest: %s", self._file.path.name, error)
            return {}
        if answer.status_code in (401, 403):
            raise StoreError(self._text(answer))
        # A refusal begins with the file's name. Who doesn't know references says so in many ways, and gets the file itself.
        if answer.status_code == 400 and answer.text.startswith(f"{self._file.path.name}: "):
            raise Refused(self._text(answer))
        if answer.status_code == 200:
            self._tell(answer.text.strip())
            return None
        return dict(answer.json()["put"]) if answer.status_code == 202 else {}

    def _put(self, put: dict[str, typing.Any]) -> bool:
        """Put the file into the bucket of the server's store, without the server's token. Return whether it is there now."""
        import requests

        try:
            with self._file.path.open("rb") as file:
                answer = requests.put(
                    put["url"],
                    data=file,
                    headers=put["headers"],
                    timeout=UPLOAD_TIMEOUT,
                    allow_redirects=False,
                    auth=lambda request: request,
                )
        except requests.RequestException as error:
            warn_once(f"wcas: the bucket can't be reached from here, files go to the server: {type(error).__name__}")
            return False
        if answer.status_code != 200:
            warn_once(f"wcas: the bucket answered {answer.status_code}, files go to the server")
        return answer.status_code == 200


    @functools.cached_property
    def _sha256(self) -> str:
        with self._file.path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()

    def _fields(self) -> dict[str, str]:
        from packaging.utils import parse_wheel_filename

        name, version = self._file.name_and_version
        tags = parse_wheel_filename(self._file.path.name)[3] if self._file.is_wheel else ()
        return {
            ":action": "file_upload",
            "protocol_version": "1",
            "metadata_version": "2.1",
            "name": name,
            "version": version,
            "filetype": "bdist_wheel" if self._file.is_wheel else "sdist",
            "pyversion": ".".join(sorted({tag.interpreter for tag in tags})) or "source",
            "sha256_digest": self._sha256,
        }

    def _query(self) -> dict[str, str]:
        query = {}
        own = RUN.is_own(self._file.name_and_version[0])
        if own is not None:
            query["own"] = "yes" if own else "no"
        if self._file.is_prebuilt:
            query["prebuilt"] = "yes"
        if self._file.source_url:
            query["source_url"] = self._file.source_url
        for conflict in ["replace"] * self._file.replaces + ["keep"]:
            if conflict not in self._lacks:
                query["on_conflict"] = conflict
                break
        return query

    def _post(self, make: typing.Callable[[], Form], tries: int) -> typing.Any:
        """Return the answer, asking for less where the server doesn't do what was asked."""
        while True:
            query = self._query()
            answer = self._try(query, make(), tries)
            conflict = query.get("on_conflict", "")
            if conflict == "replace" and answer.status_code == 403:
                warn_once("wcas: the token may not replace what is there (--force): equal builds are kept")
            elif conflict and answer.status_code == 400 and "on_conflict" in answer.text:
                warn_once("wcas: the server is older than the plug-in: equal builds are refused, and not kept")
            else:
                return answer
            self._lacks.add(conflict)

    def _try(self, query: dict[str, str], form: Form, tries: int) -> typing.Any:
        import requests

        failure: Exception | str = ""
        for turn in range(tries):
            time.sleep(UPLOAD_PAUSE * turn)
            try:
                # Without a session of fromager's, which would wait for most of an hour.
                answer = requests.post(
                    self._place,
                    params=query,
                    # An iterable with a length goes out as it is read, and not in chunks.
                    data=typing.cast(typing.Any, form),
                    headers={**form.headers, **authorization()},
                    timeout=UPLOAD_TIMEOUT,
                    allow_redirects=False,
                    # No netrc: its password would replace the token.
                    auth=lambda request: request,
                )
            except requests.RequestException as error:
                failure = error
                continue
            if answer.status_code < 500:
                return answer
            failure = self._text(answer)
        raise StoreError(str(failure))

    def _text(self, answer: typing.Any) -> str:
        return f"{self._place} answered {answer.status_code}: {answer.text.strip()[:500] or answer.reason}"

    def _tell(self, said: str) -> None:
        name = self._file.path.name
        if said.startswith("kept "):
            sha256 = re.search(r"\b[0-9a-f]{64}\b", said)
            _tell_kept(name, sha256[0] if sha256 else "unknown")
        elif "; warning: " in said:
            logger.warning("wcas: %s", said)
        else:
            logger.info("wcas: %s", said if name in said else f"{name} is at {self._place}")
