"""Skip the virtual environment and the build dependencies of wheels that the cache had (``WCAS_SHORT_CIRCUIT=1``).

After a hit, fromager's ``bootstrap`` makes a virtual environment for the wheel all the same and goes through what building it would
have taken. That is most of the time of a run that builds nothing. Skipped, it is also missing from the graph that the run writes: a later
``build-sequence`` or ``build-parallel`` from that graph doesn't know the build dependencies, and fails if it has to build. So this is off
unless asked for, and it is right where the graph isn't used.

It replaces a step inside of fromager, and leaves alone one that it doesn't know.
"""

from __future__ import annotations

import functools
import hashlib
import importlib.metadata
import inspect
import logging
import typing

logger = logging.getLogger(__name__)

#: The digest of each step that was looked at, and the releases that have it.
KNOWN = {"b99d0f1501209de6a5c058e4da391f5d47eb8e540f3fd3f19ad21e9d76749f82": "0.98 to 0.101"}


def digest(*parts: typing.Any) -> str:
    """Return the digest of the source of classes, whatever its comments and empty lines."""
    lines = [line.rstrip() for part in parts for line in inspect.getsource(part).splitlines()]
    code = [line for line in lines if line and not line.lstrip().startswith("#")]
    return hashlib.sha256("\n".join(code).encode()).hexdigest()


@functools.cache
def install() -> None:
    """Replace the step, where it is a known one."""
    try:
        from fromager import sources
        from fromager.bootstrapper._prepare_source import PrepareSource
        from fromager.bootstrapper._process_install_deps import ProcessInstallDeps
        from fromager.bootstrapper._types import PreparedSourceData, SourceBuildResult
        from fromager.bootstrapper._work_item import WorkItem

        # What is replaced, what it is told and what it tells, and who reads that.
        found = digest(PrepareSource, PreparedSourceData, SourceBuildResult, WorkItem, ProcessInstallDeps)
    except (ImportError, OSError) as error:
        found = str(error)
    if found not in KNOWN:
        version = importlib.metadata.version("fromager")
        releases = ", ".join(KNOWN.values())
        logger.warning("wcas: WCAS_SHORT_CIRCUIT=1 is not for fromager %s, and does nothing: it knows %s (%s)", version, releases, found)
        return

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
