"""The program's documents as plain values. A document may have more fields than these; ``docs/cli.md`` has all."""

from __future__ import annotations

import dataclasses
import pathlib
import typing

Document = typing.Mapping[str, typing.Any]
T = typing.TypeVar("T")


def read(kind: type[T], document: Document, **more: typing.Any) -> T:
    """Return a dataclass made of those fields of a document that it has."""
    names = {field.name for field in dataclasses.fields(typing.cast(typing.Any, kind))}
    return kind(**{**{name: value for name, value in document.items() if name in names}, **more})


def _read_all(kind: type[T], documents: typing.Iterable[Document]) -> tuple[T, ...]:
    return tuple(read(kind, document) for document in documents)


@dataclasses.dataclass(frozen=True)
class Found:
    """The best match of a lookup."""

    filename: str
    path: pathlib.Path
    collection: str
    project: str
    version: str
    size: int
    sha256: str
    blake3: str
    #: The build tag, where the wheel has one.
    build_tag: str | None = None
    #: The remote that it was fetched from just now.
    remote: str | None = None

    @classmethod
    def of(cls, document: Document) -> Found:
        """Read the document ``lookup``."""
        return read(cls, document, path=pathlib.Path(document["path"]))


@dataclasses.dataclass(frozen=True)
class RefusedFile:
    """A file that was not taken, or taken with a warning, and why."""

    reason: str
    path: str | None = None
    filename: str | None = None


@dataclasses.dataclass(frozen=True)
class ImportedFile:
    """A file that is in a collection now. ``outcome`` is new, deduplicated, unchanged, replaced or healed."""

    filename: str
    collection: str
    project: str
    version: str
    sha256: str
    blake3: str
    size: int
    outcome: str
    build_tag: str | None = None


@dataclasses.dataclass(frozen=True)
class KeptFile:
    """A file whose name the collection has with other bytes, which stay."""

    filename: str
    collection: str
    sha256: str
    path: str
    reason: str | None = None


@dataclasses.dataclass(frozen=True)
class Imported:
    """What an import did."""

    collection: str | None
    revision: int | None
    files: tuple[ImportedFile, ...]
    refused: tuple[RefusedFile, ...]
    kept: tuple[KeptFile, ...]
    warned: tuple[RefusedFile, ...]

    @classmethod
    def of(cls, document: Document) -> Imported:
        """Read the document ``import``."""
        return cls(
            document.get("collection"),
            document.get("revision"),
            _read_all(ImportedFile, document.get("distributions", ())),
            _read_all(RefusedFile, document.get("refused", ())),
            _read_all(KeptFile, document.get("kept", ())),
            _read_all(RefusedFile, document.get("warned", ())),
        )


@dataclasses.dataclass(frozen=True)
class PulledFile:
    """A file that meets a requirement. ``remote`` is where it came from; ``None`` where it was here already."""

    requirement: str
    filename: str
    collection: str
    sha256: str
    size: int
    outcome: str
    remote: str | None = None


@dataclasses.dataclass(frozen=True)
class Missing:
    """A requirement that nothing meets."""

    requirement: str
    place: str | None = None
    notes: tuple[typing.Any, ...] = ()


@dataclasses.dataclass(frozen=True)
class Pulled:
    """What a pull did."""

    files: tuple[PulledFile, ...]
    missing: tuple[Missing, ...]
    downloaded_bytes: int

    @classmethod
    def of(cls, document: Document) -> Pulled:
        """Read the document ``pull``."""
        missing = (read(Missing, row, notes=tuple(row.get("notes") or ())) for row in document.get("missing", ()))
        files = _read_all(PulledFile, document.get("distributions", ()))
        return cls(files, tuple(missing), document.get("downloaded_bytes", 0))


@dataclasses.dataclass(frozen=True)
class Promoted:
    """What a promotion did, or would do."""

    dry_run: bool
    to: str
    revision: int
    added: tuple[str, ...]
    replaced: tuple[str, ...]
    unchanged: int
    refused: tuple[RefusedFile, ...]

    @classmethod
    def of(cls, document: Document) -> Promoted:
        """Read the document ``collection-promote``."""
        lists = {name: tuple(document[name]) for name in ("added", "replaced")}
        return read(cls, document, **lists, refused=_read_all(RefusedFile, document["refused"]))


@dataclasses.dataclass(frozen=True)
class Collection:
    """A collection, as it is now."""

    name: str
    revision: int
    distributions: int
    fallbacks: tuple[str, ...] = ()
    created_at: int | None = None

    @classmethod
    def of(cls, document: Document) -> Collection:
        """Read one of the document ``collection-list``."""
        return read(cls, document, fallbacks=tuple(document.get("fallbacks", ())))


@dataclasses.dataclass(frozen=True)
class Listed:
    """A distribution in a collection. ``state`` is live, lost, deleting or elsewhere."""

    collection: str
    filename: str
    project: str
    version: str
    sha256: str
    blake3: str
    size: int
    state: str
    build_tag: str | None = None
    #: Why it is yanked, maybe an empty text; ``None`` where it is not.
    yanked: str | None = None


@dataclasses.dataclass(frozen=True)
class Written:
    """A tree that was written for a web server, or brought up to date."""

    path: pathlib.Path
    files: int
    projects: int
    #: Whether there was no such tree before.
    is_new: bool

    @classmethod
    def of(cls, document: Document) -> Written:
        """Read the document ``view``."""
        return read(cls, document, path=pathlib.Path(document["path"]))


@dataclasses.dataclass(frozen=True)
class IndexFile:
    """A file on a project's page of an index (PEP 691)."""

    filename: str
    #: Where it is, as an absolute URL.
    url: str
    sha256: str | None = None
    size: int | None = None
    requires_python: str | None = None
    #: Why it is yanked, maybe an empty text; ``None`` where it is not.
    yanked: str | None = None

    @classmethod
    def of(cls, document: Document, url: str) -> IndexFile:
        """Read a file of a page."""
        yanked = document.get("yanked", False)
        reason = None if yanked is False else "" if yanked is True else yanked
        python = document.get("requires-python")
        return read(cls, document, url=url, sha256=document.get("hashes", {}).get("sha256"), requires_python=python, yanked=reason)


@dataclasses.dataclass(frozen=True)
class Uploaded:
    """What a server said to an upload. ``is_kept``: it has other bytes of this name, which stay (``on_conflict="keep"``)."""

    filename: str
    sha256: str
    message: str
    is_kept: bool
    #: Whether the bytes were there already, and were not sent.
    was_there: bool
