"""What a run of fromager is about: its own projects, its caches, whether it was told ``--force``, and where its sources came from.

fromager tells its hooks none of that, so that this looks over its shoulder: it wraps the commands and the functions that know. What a
fromager lacks is one warning; the run then goes on without, and the store's own settings decide.
"""

from __future__ import annotations

import functools
import json
import logging
import os
import pathlib
import threading
import typing
from collections.abc import Callable, Iterable
from urllib.parse import unquote, urljoin, urlsplit, urlunsplit

if typing.TYPE_CHECKING:
    from fromager.context import WorkContext
    from packaging.requirements import Requirement

logger = logging.getLogger(__name__)

#: Servers keep no longer URL.
MAX_URL = 2000

#: A project's canonical name and a version.
Key = tuple[str, str]


class Plan(typing.NamedTuple):
    """What a file says of a run."""

    #: The top-level projects, where the file tells them.
    own: frozenset[str] | None
    #: Where sources and pre-built wheels come from.
    urls: dict[Key, str]


class Run:
    """The one run of this process."""

    def __init__(self) -> None:
        self.context: WorkContext | None = None
        self.caches: set[str] = set()
        self.force = False
        #: Sources as they were fetched, each with its URL.
        self.sources: dict[Key, tuple[pathlib.Path, str | None]] = {}
        self._own: frozenset[str] | None = None
        self._urls: dict[Key, str] = {}

    def begin(self, context: WorkContext, options: dict[str, typing.Any]) -> None:
        """Note what a command was told; ``bootstrap-parallel`` calls others, which are told more."""
        self.context = context
        named = (context.wheel_server_url, options.get("cache_wheel_server_url"), options.get("wheel_server_url"))
        self.caches.update(url for url in named if url)
        self.force = self.force or bool(options.get("force"))
        place = options.get("graph_file") or options.get("build_order_file")
        if place is None and "dist_name" in options and context.graph_file.exists():
            # `build` knows one project: an earlier bootstrap in this folder knows which are top-level.
            place = context.graph_file
        if place is not None:
            self._read(place, decides=requirements() == "graph")
        if requirements() not in ("graph", "store"):
            self._read(requirements(), decides=True)

    def _read(self, place: str | pathlib.Path, *, decides: bool) -> None:
        try:
            plan = read_plan(place)
        except Exception as error:
            warn_once(f"wcas: {place} tells nothing of the run, whose own projects are then the store's: {error}")
            return
        self._urls.update(plan.urls)
        if decides and plan.own is not None:
            self._own = plan.own
        elif decides:
            logger.info("wcas: %s doesn't tell the run's own projects, which are then the store's", place)

    def require(self, wanted: Iterable[Requirement]) -> None:
        """Take the requirements that ``bootstrap`` begins with: they are known before its graph is."""
        if requirements() == "graph":
            self._own = names(wanted)

    def own(self) -> frozenset[str] | None:
        """Return the run's own projects, or ``None`` where the store's own set decides."""
        return None if requirements() == "store" else self._own

    def is_own(self, project: str) -> bool | None:
        """Tell whether a project is one of the run's own; ``None`` where the store's own set decides."""
        own = self.own()
        return None if own is None else project in own

    def note_source(self, context: WorkContext, key: Key, path: pathlib.Path, url: str) -> None:
        """Remember the source of a build. A package's settings may say another URL than the one that was resolved."""
        from packaging.version import Version

        url = context.package_build_info(key[0]).download_source_url(version=Version(key[1]), default=url) or url
        self.sources[key] = path, public_url(url)

    def wheel_url(self, context: WorkContext, key: Key, filename: str) -> str | None:
        """Return where a pre-built wheel came from; not what only a cache said."""
        node = context.dependency_graph.nodes.get("==".join(key))
        url = node.download_url if node else self._urls.get(key, "")
        is_this = unquote(urlsplit(url).path).endswith(f"/{filename}")
        return public_url(url) if is_this and origin(url) not in map(origin, self.caches) else None


RUN = Run()


def variant_of(context: WorkContext) -> str:
    """Return the variant that wheels are stored for."""
    return os.environ.get("WCAS_VARIANT") or context.variant


def requirements() -> str:
    """Return where the run's own projects are known from: ``graph``, ``store`` or a file."""
    return os.environ.get("WCAS_REQUIREMENTS") or "graph"


def names(wanted: Iterable[Requirement]) -> frozenset[str]:
    """Return the canonical names of requirements."""
    from packaging.utils import canonicalize_name

    return frozenset(canonicalize_name(requirement.name) for requirement in wanted)


def read_plan(place: str | pathlib.Path) -> Plan:
    """Read a graph, a build order or a file of requirements, from a path or URL."""
    text = _read(place)
    try:
        document = json.loads(text)
    except ValueError:
        return Plan(_required(text), {})
    if isinstance(document, dict):
        return _graph(document)
    urls = {(row["dist"], row["version"]): row["source_url"] for row in document}
    own = frozenset(row["dist"] for row in document if row.get("type") == "toplevel")
    # Recent build orders don't say what is top-level. bootstrap writes its graph beside them.
    return Plan(own or _beside(place, urls), urls)


def _read(place: str | pathlib.Path) -> str:
    from fromager.read import open_file_or_url

    with open_file_or_url(place) as file:
        return file.read()


def _required(text: str) -> frozenset[str]:
    from fromager.requirements_file import evaluate_marker
    from packaging.requirements import Requirement

    lines = (line.partition("#")[0].strip() for line in text.splitlines())
    wanted = [Requirement(line) for line in lines if line and not line.startswith("-")]
    return names(requirement for requirement in wanted if evaluate_marker(requirement, requirement))


def _graph(document: dict[str, typing.Any]) -> Plan:
    nodes = {key: node for key, node in document.items() if key}
    own = frozenset(nodes[edge["key"]]["canonicalized_name"] for edge in document[""]["edges"])
    return Plan(own, {(node["canonicalized_name"], node["version"]): node["download_url"] for node in nodes.values()})


def _beside(place: str | pathlib.Path, built: dict[Key, str]) -> frozenset[str] | None:
    is_url = "://" in str(place)
    graph = urljoin(str(place), "graph.json") if is_url else pathlib.Path(place).with_name("graph.json")
    try:
        plan = _graph(json.loads(_read(graph)))
    except Exception as error:
        logger.debug("wcas: %s tells nothing: %s", graph, error)
        return None
    # The graph of another run says nothing of this one.
    return plan.own if built.keys() <= plan.urls.keys() else None


def public_url(url: str) -> str | None:
    """Return a URL without what may be secret in it: credentials, and the query, where signed URLs have theirs; no very long one."""
    parts = urlsplit(url)
    public = urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))
    return public if parts.hostname and len(public) <= MAX_URL else None


def origin(url: str) -> tuple[str, str | None, int | None]:
    """Return the scheme, host and port of a URL."""
    parts = urlsplit(url)
    return parts.scheme, parts.hostname, parts.port or {"http": 80, "https": 443}.get(parts.scheme)


_warned: set[str] = set()
_lock = threading.Lock()


def warn_once(text: str) -> None:
    """Warn, unless that was said before."""
    with _lock:
        is_new = text not in _warned
        _warned.add(text)
    if is_new:
        logger.warning(text)


def watch(begin: Callable[[WorkContext, dict[str, typing.Any]], None]) -> None:
    """Look over fromager's shoulder, whose commands are loaded and not begun yet; ``begin`` is told their context and options."""
    _note("the options", lambda: _watch_commands(begin))
    _note("the requirements", _watch_bootstrap)
    _note("the sources", _watch_sources)


def _watch_commands(begin: Callable[[WorkContext, dict[str, typing.Any]], None]) -> None:
    import click
    from fromager.commands.bootstrap import bootstrap, bootstrap_parallel
    from fromager.commands.build import build, build_parallel, build_sequence

    def wrap(inner: Callable[..., typing.Any]) -> Callable[..., typing.Any]:
        @functools.wraps(inner)
        def callback(*args: typing.Any, **options: typing.Any) -> typing.Any:
            _note("the options", lambda: begin(click.get_current_context().obj, options))
            return inner(*args, **options)

        return callback

    for command in (bootstrap, bootstrap_parallel, build, build_parallel, build_sequence):
        assert command.callback is not None
        command.callback = wrap(command.callback)


def _watch_bootstrap() -> None:
    from fromager.bootstrapper import Bootstrapper

    inner = Bootstrapper.bootstrap

    @functools.wraps(inner)
    def bootstrap(self: typing.Any, requirements: typing.Any, *args: typing.Any, **options: typing.Any) -> typing.Any:
        _note("the requirements", lambda: RUN.require(requirements))
        return inner(self, requirements, *args, **options)

    Bootstrapper.bootstrap = bootstrap  # type: ignore[method-assign]


def _watch_sources() -> None:
    from fromager import sources
    from packaging.utils import canonicalize_name

    inner = sources.download_source

    @functools.wraps(inner)
    def download_source(**options: typing.Any) -> pathlib.Path:
        path: pathlib.Path = inner(**options)
        key = canonicalize_name(options["req"].name), str(options["version"])
        _note("the sources", lambda: RUN.note_source(options["ctx"], key, path, options["download_url"]))
        return path

    sources.download_source = download_source


def _note(what: str, take: Callable[[], None]) -> None:
    """Take a note, or get ready to; that it can't be taken is no reason to stop a build."""
    try:
        take()
    except Exception as error:
        warn_once(f"wcas: {what} of this fromager's runs are not known: {error}")
