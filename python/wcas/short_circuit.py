"""Skip the virtual environment and the build dependencies of wheels that the cache had (``WCAS_SHORT_CIRCUIT=1``).

After a hit, fromager's ``bootstrap`` makes a virtual environment for the wheel all the same and goes through what building it would
have taken. That is most of the time of a run that builds nothing. Skipped, it is also missing from the graph that the run writes: a later
``build-sequence`` or ``build-parallel`` from that graph doesn't know the build dependencies, and fails if it has to build. So this is off
unless asked for, and it is right where the graph isn't used.

It replaces a step inside of fromager, and refuses to load where that isn't the one that it knows.
"""

from __future__ import annotations

import dataclasses
import importlib.metadata
import inspect
import logging
import typing

logger = logging.getLogger(__name__)

#: The releases whose step was looked at.
KNOWN = ("0.101.",)
#: What the replacement needs of a build's result.
FIELDS = {"wheel_filename", "sdist_filename", "unpack_dir", "sdist_root_dir", "build_env", "source_type"}


class UnknownFromager(RuntimeError):
    """fromager is another than the one that this was made for."""


def install() -> None:
    """Replace the step, or raise :class:`UnknownFromager`."""
    version = importlib.metadata.version("fromager")
    refuse = f"WCAS_SHORT_CIRCUIT=1 is not for fromager {version}: unset it, or use fromager {KNOWN[0]}x"
    if not version.startswith(KNOWN):
        raise UnknownFromager(refuse)
    try:
        from fromager import sources
        from fromager.bootstrapper._prepare_source import PrepareSource
        from fromager.bootstrapper._process_install_deps import ProcessInstallDeps
        from fromager.bootstrapper._types import PreparedSourceData, SourceBuildResult
    except ImportError as error:
        raise UnknownFromager(refuse) from error
    names = {field.name for field in dataclasses.fields(SourceBuildResult)}
    hit = {field.name for field in dataclasses.fields(PreparedSourceData)}
    if names != FIELDS or "cached_wheel_filename" not in hit or list(inspect.signature(PrepareSource.run).parameters) != ["self", "bt"]:
        raise UnknownFromager(refuse)

    original = PrepareSource.run

    def run(self: typing.Any, bt: typing.Any) -> list[typing.Any]:
        item = self.work_item
        if item.pbi_pre_built or self.bg_future is None:
            return original(self, bt)
        prepared = self.bg_future.result()
        if prepared.cached_wheel_filename is None or prepared.sdist_root_dir is None:
            return original(self, bt)
        logger.info("wcas: %s is taken as it is", prepared.cached_wheel_filename.name)
        item.cached_wheel_filename = prepared.cached_wheel_filename
        item.build_result = SourceBuildResult(
            wheel_filename=prepared.cached_wheel_filename,
            sdist_filename=None,
            unpack_dir=prepared.sdist_root_dir.parent,
            sdist_root_dir=None,
            build_env=None,
            source_type=sources.get_source_type(bt.ctx, item.req),
        )
        return [ProcessInstallDeps(item)]

    PrepareSource.run = run  # type: ignore[method-assign]
    logger.info("wcas: build dependencies of cached wheels are skipped, and missing from the graph")
