"""fromager's hooks: each wheel goes into a wcas store as soon as it is there.

fromager finds them by their entry points (``fromager.hooks``) and calls them in its own process, with its own threads. They never stop
a build, unless ``WCAS_STRICT=1`` says so. What they are told by variables of the environment:

``WCAS_URL``
    The URL that ``wcas serve`` printed: wheels are uploaded there, routed by the store's own rules. ``WCAS_TOKEN`` is its token.
``WCAS_STORE``
    Without ``WCAS_URL``: the folder of a store on this machine, into which the program imports.
``WCAS_VARIANT``
    The variant; otherwise the one that fromager was given.
``WCAS_REQUIREMENTS``
    Which projects are the variant's own. ``graph``: the top-level requirements of this run, where fromager knows them; ``store``: those
    that the store was told (``wcas route set``). The default is ``graph``. A server always goes by its store.
``WCAS_STRICT``
    ``1``: a wheel that can't be stored ends the run.
``WCAS_SHORT_CIRCUIT``
    ``1``: see :mod:`wcas.short_circuit`.
"""

from __future__ import annotations

import base64
import hashlib
import json
import logging
import os
import pathlib
import subprocess
import tempfile
import threading
import typing
import uuid
from urllib.parse import urlsplit

from wcas._program import find_program

if typing.TYPE_CHECKING:
    from fromager.context import WorkContext
    from packaging.requirements import Requirement

logger = logging.getLogger(__name__)

#: A read or write of an upload may wait so long, in seconds: a server that takes the last byte still has to check the wheel.
UPLOAD_TIMEOUT = (10.0, 600.0)
#: An upload that failed for a passing reason is tried again so often.
UPLOAD_RETRIES = 3


class StoreError(Exception):
    """A wheel that could not be stored, and why."""


def post_build(
    ctx: WorkContext,
    req: Requirement,
    dist_name: str,
    dist_version: str,
    sdist_filename: pathlib.Path,
    wheel_filename: pathlib.Path,
) -> None:
    """Store a wheel that ``build``, ``build-sequence`` or ``build-parallel`` has built."""
    _take(ctx, wheel_filename)


def post_bootstrap(
    ctx: WorkContext,
    req: Requirement,
    dist_name: str,
    dist_version: str,
    sdist_filename: pathlib.Path | None,
    wheel_filename: pathlib.Path | None,
) -> None:
    """Store a wheel that ``bootstrap`` has built or found; with ``--sdist-only`` there may be none."""
    if wheel_filename is not None:
        _take(ctx, wheel_filename)


def prebuilt_wheel(
    ctx: WorkContext,
    req: Requirement,
    dist_name: str,
    dist_version: str,
    wheel_filename: pathlib.Path,
) -> None:
    """Store a wheel that was not built but fetched."""
    _take(ctx, wheel_filename)


def _take(ctx: WorkContext, wheel: pathlib.Path) -> None:
    try:
        url = os.environ.get("WCAS_URL")
        if url:
            _upload(ctx, pathlib.Path(wheel), url)
        elif os.environ.get("WCAS_STORE"):
            _import(ctx, pathlib.Path(wheel))
        else:
            _tell_once()
    except Exception as error:
        text = f"wcas: {wheel.name} is not stored: {error}"
        if os.environ.get("WCAS_STRICT") == "1":
            raise StoreError(text) from error
        logger.warning(text, exc_info=not isinstance(error, StoreError))


_told = threading.Event()


def _tell_once() -> None:
    if not _told.is_set():
        _told.set()
        logger.warning("wcas: wheels are not stored, for neither WCAS_STORE nor WCAS_URL is set")


def variant_of(ctx: WorkContext) -> str:
    """Return the variant that wheels are stored for."""
    return os.environ.get("WCAS_VARIANT") or ctx.variant


def own_projects(ctx: WorkContext) -> list[str] | None:
    """Return the top-level requirements of a run, or ``None`` where only the store can know them."""
    if os.environ.get("WCAS_REQUIREMENTS", "graph") != "graph":
        return None
    # In build-sequence and build-parallel the graph is empty: that says nothing of what is top-level.
    edges = ctx.dependency_graph.get_root_node().children
    return sorted({str(edge.destination_node.canonicalized_name) for edge in edges}) or None


def _import(ctx: WorkContext, wheel: pathlib.Path) -> None:
    command = [find_program(), "--json", "import", "--variant", variant_of(ctx)]
    projects = own_projects(ctx)
    if projects is None:
        done = _run([*command, "--", str(wheel)])
    else:
        with tempfile.NamedTemporaryFile("w", prefix="wcas-", suffix=".txt") as file:
            file.write("\n".join(projects) + "\n")
            file.flush()
            done = _run([*command, "--requirements", file.name, "--", str(wheel)])
    try:
        report = json.loads(done.stdout)
    except ValueError:
        report = {}
    for refused in report.get("refused", []):
        raise StoreError(refused["reason"])
    if done.returncode not in (0, 3):
        raise StoreError(done.stderr.strip() or f"wcas ended with {done.returncode}")
    for row in report.get("distributions", []):
        logger.info("wcas: %s is in %s (%s)", row["filename"], row["collection"], row["outcome"])
    for warned in report.get("warned", []):
        logger.warning("wcas: %s: %s", wheel.name, warned["reason"])


def _run(command: list[str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)


class UploadForm:
    """An upload's form, read as it goes out: wheels may be larger than the memory."""

    def __init__(self, wheel: pathlib.Path, fields: dict[str, str]) -> None:
        boundary = uuid.uuid4().hex
        self.content_type = f"multipart/form-data; boundary={boundary}"
        head = "".join(
            f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'
            for name, value in fields.items()
        )
        head += (
            f'--{boundary}\r\nContent-Disposition: form-data; name="content"; filename="{wheel.name}"\r\n'
            "Content-Type: application/octet-stream\r\n\r\n"
        )
        self._parts: list[typing.Any] = [head.encode(), wheel, f"\r\n--{boundary}--\r\n".encode()]
        self._length = sum(len(part) if isinstance(part, bytes) else part.stat().st_size for part in self._parts)

    def __len__(self) -> int:
        return self._length

    def __iter__(self) -> typing.Iterator[bytes]:
        for part in self._parts:
            if isinstance(part, bytes):
                yield part
                continue
            with part.open("rb") as file:
                while piece := file.read(1 << 20):
                    yield piece


def _upload(ctx: WorkContext, wheel: pathlib.Path, url: str) -> None:
    import requests
    from packaging.utils import parse_wheel_filename

    name, version, _, tags = parse_wheel_filename(wheel.name)
    with wheel.open("rb") as file:
        sha256 = hashlib.file_digest(file, "sha256").hexdigest()
    fields = {
        ":action": "file_upload",
        "protocol_version": "1",
        "metadata_version": "2.1",
        "name": str(name),
        "version": str(version),
        "filetype": "bdist_wheel",
        "pyversion": ".".join(sorted({tag.interpreter for tag in tags})),
        "sha256_digest": sha256,
    }
    place = f"{url.rstrip('/')}/{variant_of(ctx)}/legacy/"
    form = UploadForm(wheel, fields)
    headers = {"Content-Type": form.content_type, **authorization()}
    failure: Exception | str = ""
    for turn in range(UPLOAD_RETRIES):
        if turn:
            threading.Event().wait(2.0**turn)
        try:
            # Without a session of fromager's, which would wait for most of an hour.
            answer = requests.post(
                place,
                # An iterable with a length goes out as it is read, and not in chunks.
                data=typing.cast(typing.Any, form),
                headers={**headers, "Content-Length": str(len(form))},
                timeout=UPLOAD_TIMEOUT,
                allow_redirects=False,
                # No netrc: its password would replace the token.
                auth=_keep,
            )
        except requests.RequestException as error:
            failure = error
            continue
        if answer.status_code == 200:
            logger.info("wcas: %s is stored at %s", wheel.name, place)
            return
        failure = f"{place} answered {answer.status_code}: {answer.text.strip()[:500] or answer.reason}"
        if answer.status_code < 500:
            break
    raise StoreError(str(failure))


def _keep(request: typing.Any) -> typing.Any:
    return request


def authorization() -> dict[str, str]:
    """Return the header that shows the token, if there is one."""
    token = os.environ.get("WCAS_TOKEN")
    if not token:
        return {}
    return {"Authorization": "Basic " + base64.b64encode(f"__token__:{token}".encode()).decode()}


def show_token() -> None:
    """Let fromager's own requests show the token to the server, and to nobody else: it drops what a URL or netrc says."""
    url = os.environ.get("WCAS_URL")
    if not url or not os.environ.get("WCAS_TOKEN") or not urlsplit(url).hostname:
        return
    try:
        from fromager.request_session import session
    except ImportError:
        logger.warning("wcas: this fromager can't be taught the token: its cache lookups at %s go without", url)
        return
    inner, own = session.auth, _origin(url)

    def show(request: typing.Any) -> typing.Any:
        # fromager's own registry goes by the host alone: the token is for one server, and not for others on its machine.
        if _origin(request.url or "") == own:
            request.headers.update(authorization())
            return request
        return inner(request) if callable(inner) else request

    session.auth = show


def _origin(url: str) -> tuple[str, str | None, int | None]:
    parts = urlsplit(url)
    return parts.scheme, parts.hostname, parts.port or {"http": 80, "https": 443}.get(parts.scheme)


# fromager loads all hooks when it starts, before its first request.
show_token()
if os.environ.get("WCAS_SHORT_CIRCUIT") == "1":
    from wcas import short_circuit

    short_circuit.install()
