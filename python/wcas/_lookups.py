"""What fromager's own requests say to the store's server: the token, and the rules of the run.

A cache page is the same for everybody who asks; which wheels this run may take depends on its requirements and settings, and goes in a header.
uv, which fills the build environments, sends none: it is given an index whose URL names the run's own projects.
"""

from __future__ import annotations

import base64
import functools
import os
import re
import typing
from urllib.parse import unquote, urlsplit, urlunsplit

from wcas._run import RUN, origin, warn_once
from wcas._secret import token

#: The index of a cache, with rules or without.
INDEX = re.compile(r"/cache/(?:([^/]*=[^/]*)/)?simple/?$")
#: A server takes paths of 4 KiB, with a file's name in them.
MAX_OWN = 3000
#: A page of the cache endpoint, and a file that it links.
PAGE = re.compile(r"/cache/(?:[^/]+/)?simple/([^/]+)/?$")
FILE = re.compile(r"/cache/(?:[^/]+/)?files/[^/]+/([^/]+?\.whl)(?:\.metadata)?$")


def teach() -> None:
    """Let fromager say them, to this server and to nobody else."""
    _teach_session()
    _teach_environments()


def _teach_session() -> None:
    """Fromager's session drops what a URL or netrc says."""
    try:
        from fromager.request_session import session
    except ImportError as error:
        warn_once(f"wcas: this fromager's cache lookups go without the run's rules and token: {error}")
        return
    inner = session.auth

    def say(request: typing.Any) -> typing.Any:
        url = request.url or ""
        asked = origin(url)
        if asked in _caches():
            request.headers.update(_header(url))
        # fromager's own registry goes by the host alone: the token is for one server, and not for others on its machine.
        if authorization() and asked == origin(os.environ.get("WCAS_URL", "")):
            request.headers.update(authorization())
            return request
        return inner(request) if callable(inner) else request

    session.auth = say


def _teach_environments() -> None:
    try:
        from fromager.context import WorkContext

        inner = typing.cast(property, WorkContext.__dict__["pip_wheel_server_args"]).fget
        assert inner is not None
    except (ImportError, KeyError, AttributeError, AssertionError) as error:
        warn_once(f"wcas: in build environments the store's own set decides: this fromager's arguments for uv are not known: {error}")
        return

    @functools.wraps(inner)
    def arguments(self: typing.Any) -> list[str]:
        return [index_of(argument) if argument == self.wheel_server_url else argument for argument in inner(self)]

    WorkContext.pip_wheel_server_args = property(arguments)  # type: ignore[method-assign, assignment]


def index_of(url: str) -> str:
    """Return the index for build environments: the one that fromager was given, with the run's own projects where it is the store's cache."""
    own = RUN.own()
    parts = urlsplit(url)
    found = INDEX.search(parts.path)
    if own is None or found is None or origin(url) not in _caches() or "own-projects=" in (found[1] or ""):
        return url
    names = ",".join(sorted(own))
    if len(names) > MAX_OWN:
        warn_once(f"wcas: {len(own)} own projects are too many for a URL: in build environments the store's own set decides")
        return url
    rules = "&".join(filter(None, [found[1], f"own-projects={names}"]))
    return urlunsplit(parts._replace(path=f"{parts.path[: found.start()]}/cache/{rules}/simple/"))


def authorization() -> dict[str, str]:
    """Return the header that shows the token, if there is one."""
    secret = token()
    if not secret:
        return {}
    return {"Authorization": "Basic " + base64.b64encode(f"__token__:{secret}".encode()).decode()}


def _caches() -> set[tuple[str, str | None, int | None]]:
    url = os.environ.get("WCAS_URL")
    return {origin(url)} if url else {origin(url) for url in RUN.caches}


def _header(url: str) -> dict[str, str]:
    try:
        project = project_of(url)
        rules = rules_for(project) if project and RUN.context else ""
    except Exception as error:
        warn_once(f"wcas: cache lookups go without the run's rules: {error}")
        rules = ""
    return {"X-Wcas-Rules": rules} if rules else {}


def project_of(url: str) -> str | None:
    """Return the project that a URL of a cache endpoint is about."""
    from packaging.utils import canonicalize_name

    path = urlsplit(url).path
    if page := PAGE.search(path):
        return canonicalize_name(unquote(page[1]))
    if file := FILE.search(path):
        return canonicalize_name(unquote(file[1]).partition("-")[0])
    return None


def rules_for(project: str) -> str:
    """Return which of a project's wheels are right for this run, in the syntax of cache rules."""
    context = RUN.context
    assert context is not None
    settings = context.package_build_info(project)
    rules = []
    own = RUN.is_own(project)
    if own is not None:
        rules.append(f"own={_word(own)}")
    rules.append(f"prebuilt={_word(settings.pre_built)}")
    if not settings.pre_built:
        # Who makes a pre-built wheel numbers its builds.
        rules.append(f"builds={_builds(settings, len(context.settings.variant_changelog()))}")
    return "&".join(rules)


def _builds(settings: typing.Any, least: int) -> str:
    numbers = {str(version): len(settings.get_changelog(version)) for version in settings._ps.changelog}
    named = [f"{version}:{number}" for version, number in sorted(numbers.items()) if number != least]
    return ",".join([*named, f"*:{least}"])


def _word(value: bool) -> str:
    return "yes" if value else "no"
