"""A server, by the index that it is: pages in JSON, files, uploads. A token goes to the server alone, never along with a redirect."""

from __future__ import annotations

import base64
import hashlib
import http.client
import json
import os
import pathlib
import re
import socket
import tempfile
import typing
import urllib.error
import urllib.request
from urllib.parse import quote, urlencode, urljoin, urlsplit

from wcas._documents import IndexFile, Uploaded
from wcas._errors import Busy, Denied, Failed, NotFound, Refused, TimedOut, Usage, WcasError
from wcas._form import Form
from wcas._local import PathLike

JSON = "application/vnd.pypi.simple.v1+json"
#: What answers mean; other ones are a failure.
BY_STATUS: dict[int, type[WcasError]] = {
    400: Refused,
    401: Denied,
    403: Denied,
    404: NotFound,
    405: Usage,
    410: Usage,
    413: Refused,
    424: Failed,
    429: Busy,
    503: Busy,
}
SCHEMES = ("http://", "https://")
#: What is asked by: not what reads this machine's own files, where a page or a redirect says `file:`.
HANDLERS = (
    urllib.request.ProxyHandler,
    urllib.request.UnknownHandler,
    urllib.request.HTTPHandler,
    urllib.request.HTTPSHandler,
    urllib.request.HTTPDefaultErrorHandler,
    urllib.request.HTTPRedirectHandler,
    urllib.request.HTTPErrorProcessor,
)
#: So much of an answer in words is kept.
MOST_WORDS = 2000
PIECE = 1 << 20


class Server:
    """A server at the URL that ``wcas serve`` printed, for people who have a token or need none.

    ``timeout`` is how many seconds it may be silent. Answers that say that something did not work are the exceptions that the program's
    exit codes are: :class:`wcas.NotFound` of 404, :class:`wcas.Busy` of 429 and 503, :class:`wcas.Denied` of 401 and 403, ….
    """

    def __init__(self, url: str, token: str | None = None, *, timeout: float = 60.0) -> None:
        if not url.startswith(SCHEMES):
            raise Usage(f"{url} is no URL of a server: http://… or https://…")
        if "@" in urlsplit(url).netloc:
            raise Usage("a URL with a password in it would be in messages: give the token by itself")
        self.url = url.rstrip("/") + "/"
        self.timeout = timeout
        self._token = token
        self._opener = urllib.request.OpenerDirector()
        for handler in HANDLERS:
            self._opener.add_handler(handler())

    def __repr__(self) -> str:
        return f"Server({self.url!r})"

    def collections(self) -> list[str]:
        """Return the names of the collections and variants that may be read."""
        with self._open(self.url, accept="application/json") as answer:
            document = self._json(answer)
        return [row["name"] for row in document["names"]]

    def projects(self, collection: str) -> list[str]:
        """Return the projects of a collection or variant."""
        with self._open(self._at(collection, "simple/"), accept=JSON) as answer:
            return [row["name"] for row in self._json(answer)["projects"]]

    def list(self, collection: str, project: str) -> typing.Sequence[IndexFile]:
        """Return the files of a project, as its page has them."""
        page = self._at(collection, f"simple/{quote(normalized(project), safe='')}/")
        with self._open(page, accept=JSON) as answer:
            rows = self._json(answer)["files"]
            return [IndexFile.of(row, urljoin(answer.geturl(), row["url"])) for row in rows]

    def lookup(self, collection: str, project: str, version: str | None = None, *, filename: str | None = None) -> IndexFile:
        """Return the file of this name, or the first wheel of this version, else its source distribution.

        Versions are compared as texts: what ranges and tags take is the program's matter, or a client's.
        """
        files = self.list(collection, project)
        if filename is not None:
            files = [file for file in files if file.filename == filename]
        if version is not None:
            files = [file for file in files if version_of(file.filename, project) == _plain(version)]
        if filename is None:
            files = [file for file in files if file.yanked is None or version is not None]
        if not files:
            wanted = filename or (f"{project}=={version}" if version else project)
            raise NotFound(f"{self._at(collection)} has no {wanted}")
        # The sort is stable: the page's order, which has the highest build of a version first, stays. Yanked ones come last.
        return sorted(files, key=lambda file: (file.yanked is not None, not file.filename.endswith(".whl")))[0]

    def download(self, file: IndexFile, to: PathLike) -> pathlib.Path:
        """Fetch a file into a folder, and return its path. One whose digest is not the page's is :class:`wcas.Failed`, and not kept."""
        name = file.filename
        if name in ("", ".", "..") or "/" in name or "\\" in name or "\0" in name:
            raise Refused(f"{name!r} is no filename")
        folder, digest, size = pathlib.Path(to), hashlib.sha256(), 0
        with self._open(file.url) as answer:
            handle, part = tempfile.mkstemp(prefix=".wcas-", dir=folder)
            try:
                with os.fdopen(handle, "wb") as out:
                    while piece := self._read(answer, PIECE):
                        digest.update(piece)
                        size += out.write(piece)
                if file.sha256 is not None and digest.hexdigest() != file.sha256:
                    raise Failed(f"{file.url} has the SHA-256 digest {digest.hexdigest()}, and its page says {file.sha256} ({size} bytes came)")
                os.chmod(part, 0o644)
                os.replace(part, folder / name)
            except BaseException:
                os.unlink(part)
                raise
        return folder / name

    def upload(
        self,
        collection: str,
        path: PathLike,
        *,
        on_conflict: str | None = None,
        source_url: str | None = None,
        pre_built: bool = False,
        own: bool | None = None,
    ) -> Uploaded:
        """Send a wheel or source distribution to a collection or variant; its bytes only where the server hasn't got them."""
        file = pathlib.Path(path)
        project, version = name_and_version(file.name)
        with file.open("rb") as data:
            sha256 = _digest(data)
        said = {
            "own": None if own is None else "yes" if own else "no",
            "prebuilt": "yes" if pre_built else None,
            "source_url": source_url,
            "on_conflict": on_conflict,
        }
        query = urlencode({name: value for name, value in said.items() if value is not None})
        place = self._at(collection, "legacy/") + (f"?{query}" if query else "")
        known = {"name": project, "version": version, "sha256_digest": sha256}
        try:
            text = self._post(place, Form({":action": "file_reference", "filename": file.name, **known}))
            return Uploaded(file.name, sha256, text, text.startswith("kept "), was_there=True)
        except NotFound:
            # The bytes aren't there, or not for this token.
            pass
        kind = "bdist_wheel" if file.name.endswith(".whl") else "sdist"
        fields = {":action": "file_upload", "protocol_version": "1", "metadata_version": "2.1", "filetype": kind, "pyversion": "source", **known}
        text = self._post(place, Form(fields, file))
        return Uploaded(file.name, sha256, text, text.startswith("kept "), was_there=False)

    def _at(self, collection: str, rest: str = "") -> str:
        return f"{self.url}{quote(collection, safe='@')}/{rest}"

    def _post(self, place: str, form: Form) -> str:
        with self._open(place, form=form) as answer:
            return self._read(answer, MOST_WORDS).decode(errors="replace").strip()

    def _open(self, url: str, *, accept: str = "*/*", form: Form | None = None) -> http.client.HTTPResponse:
        if not url.startswith(SCHEMES):
            raise Refused(f"{url} is no file of a server")
        data = typing.cast(typing.Any, form)
        request = urllib.request.Request(url, data=data, headers={"Accept": accept, **(form.headers if form else {})})
        if self._token and url.startswith(self.url):
            credentials = base64.b64encode(f"__token__:{self._token}".encode()).decode()
            # Not one that goes along with a redirect.
            request.add_unredirected_header("Authorization", f"Basic {credentials}")
        try:
            return typing.cast(http.client.HTTPResponse, self._opener.open(request, timeout=self.timeout))
        except urllib.error.HTTPError as error:
            with error:
                words = error.read(MOST_WORDS).decode(errors="replace").strip()
            kind = BY_STATUS.get(error.code, Failed)
            raise kind(f"{url} answered {error.code}: {words or error.reason}") from None
        except (OSError, http.client.HTTPException) as error:
            raise self._failed(url, error) from error

    def _json(self, answer: http.client.HTTPResponse) -> typing.Any:
        pieces = []
        while piece := self._read(answer, PIECE):
            pieces.append(piece)
        try:
            return json.loads(b"".join(pieces))
        except ValueError as error:
            raise Failed(f"{answer.geturl()} is no JSON: is {self.url} the URL that wcas serve printed?") from error

    def _read(self, answer: http.client.HTTPResponse, size: int) -> bytes:
        try:
            return answer.read(size)
        except (OSError, http.client.HTTPException) as error:
            raise self._failed(answer.geturl(), error) from error

    def _failed(self, url: str, error: Exception) -> WcasError:
        cause = error.reason if isinstance(error, urllib.error.URLError) else error
        if isinstance(cause, socket.timeout):
            return TimedOut(f"{url} was silent for {self.timeout:g} s")
        return Failed(f"{url} can't be asked: {cause}")


def normalized(project: str) -> str:
    """Return a project's name as indexes have it (PEP 503)."""
    return re.sub(r"[-_.]+", "-", project).lower()


def name_and_version(filename: str) -> tuple[str, str]:
    """Return the project and the version that a filename has."""
    if filename.endswith(".whl"):
        parts = filename[: -len(".whl")].split("-")
        if len(parts) in (5, 6, 7):
            return normalized(parts[0]), parts[1]
    for end in (".tar.gz", ".zip"):
        if filename.endswith(end):
            name, dash, version = filename[: -len(end)].rpartition("-")
            if dash and name:
                return normalized(name), version
    raise Usage(f"{filename} is no name of a wheel or source distribution")


def version_of(filename: str, project: str) -> str | None:
    """Return the version that a project's file has, as a text to compare; ``None`` of another project's or of no distribution."""
    try:
        name, version = name_and_version(filename)
    except Usage:
        return None
    return _plain(version) if name == normalized(project) else None


def _plain(version: str) -> str:
    return version.strip().lower().replace("_", "+" if "+" not in version else "_")


def _digest(data: typing.BinaryIO) -> str:
    digest = hashlib.sha256()
    while piece := data.read(PIECE):
        digest.update(piece)
    return digest.hexdigest()
