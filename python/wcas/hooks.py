"""fromager's hooks: each wheel goes into a wcas store as soon as it is there, and the source that it was built from with it.

fromager finds them by their entry points (``fromager.hooks``) and calls them in its own process, with its own threads. They never stop
a build, unless ``WCAS_STRICT=1`` says so. What they are told by variables of the environment:

``WCAS_URL``
    The URL that ``wcas serve`` printed: files are uploaded there. ``WCAS_TOKEN`` is its token; it is taken out of the environment, which
    builds get a copy of.
``WCAS_STORE``
    Without ``WCAS_URL``: the folder of a store on this machine, into which the program imports.
``WCAS_VARIANT``
    The variant; otherwise the one that fromager was given.
``WCAS_REQUIREMENTS``
    Which projects are the variant's own. ``graph``: the top-level requirements of this run, where fromager knows them; ``store``: those
    that the store was told (``wcas route set``); else a file of requirements, a graph or a build order. The default is ``graph``.
``WCAS_SDISTS``
    ``0``: sources are not stored.
``WCAS_STRICT``
    ``1``: what can't be stored ends the run.
``WCAS_SHORT_CIRCUIT``
    ``1``: see :mod:`wcas.short_circuit`.
"""

from __future__ import annotations

import logging
import os
import pathlib
import typing

from wcas._run import RUN, Key, variant_of, warn_once
from wcas._store import Distribution, Refused, StoreError, store

if typing.TYPE_CHECKING:
    from fromager.context import WorkContext
    from packaging.requirements import Requirement

logger = logging.getLogger(__name__)


def post_build(
    ctx: WorkContext,
    req: Requirement,
    dist_name: str,
    dist_version: str,
    sdist_filename: pathlib.Path,
    wheel_filename: pathlib.Path,
) -> None:
    """Store a wheel that ``build``, ``build-sequence`` or ``build-parallel`` has built."""
    _take_built(ctx, _key(dist_name, dist_version), wheel_filename)


def post_bootstrap(
    ctx: WorkContext,
    req: Requirement,
    dist_name: str,
    dist_version: str,
    sdist_filename: pathlib.Path | None,
    wheel_filename: pathlib.Path | None,
) -> None:
    """Store a wheel that ``bootstrap`` has built or found; with ``--sdist-only`` there may be none."""
    if wheel_filename is None:
        return
    key = _key(dist_name, dist_version)
    # In its test mode, fromager takes a pre-built wheel of what can't be built.
    if ctx.package_build_info(dist_name).pre_built or wheel_filename.parent == ctx.wheels_prebuilt:
        _take_prebuilt(ctx, key, wheel_filename)
    elif sdist_filename is None:
        _take(ctx, wheel_filename)
    else:
        _take_built(ctx, key, wheel_filename)


def prebuilt_wheel(
    ctx: WorkContext,
    req: Requirement,
    dist_name: str,
    dist_version: str,
    wheel_filename: pathlib.Path,
) -> None:
    """Store a wheel that was not built but fetched."""
    _take_prebuilt(ctx, _key(dist_name, dist_version), wheel_filename)


def _key(name: str, version: str) -> Key:
    from packaging.utils import canonicalize_name

    return canonicalize_name(name), version


def _take_built(ctx: WorkContext, key: Key, wheel: pathlib.Path) -> None:
    source, url = RUN.sources.get(key, (None, None))
    _take(ctx, wheel, source_url=url)
    if source is not None and os.environ.get("WCAS_SDISTS") != "0":
        _take_source(ctx, key, source, url)


def _take_prebuilt(ctx: WorkContext, key: Key, wheel: pathlib.Path) -> None:
    _take(ctx, wheel, is_prebuilt=True, source_url=RUN.wheel_url(ctx, key, wheel.name))


def _take_source(ctx: WorkContext, key: Key, source: pathlib.Path, url: str | None) -> None:
    """Store the source as it was fetched; what fromager packs again has the same name, and other bytes at each run."""
    name, version = key
    if source.name != f"{name.replace('-', '_')}-{version}.tar.gz":
        logger.debug("wcas: %s is not stored: it has no source distribution's name", source.name)
        return
    # A source stands for a release, whatever is forced to be built from it.
    _take(ctx, source, source_url=url, replaces=False)


def _take(ctx: WorkContext, path: pathlib.Path, **known: typing.Any) -> None:
    if RUN.context is None:
        warn_once("wcas: this fromager's runs are not known: the store's own settings decide")
    file = Distribution(path, variant_of(ctx), **{"replaces": RUN.force, **known})
    try:
        if not store(file):
            warn_once("wcas: wheels are not stored, for neither WCAS_STORE nor WCAS_URL is set")
    except Exception as error:
        text = f"wcas: {path.name} is not stored: {error}"
        if isinstance(error, Refused) and not file.is_wheel:
            # An archive of a repository is good enough to build from, and no source distribution.
            logger.info(text)
        elif os.environ.get("WCAS_STRICT") == "1":
            raise StoreError(text) from error
        else:
            logger.warning(text, exc_info=not isinstance(error, StoreError))
