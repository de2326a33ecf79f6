"""A content-addressed store for Python wheels: the program ``wcas``, an API for scripts, and a plug-in for fromager.

:class:`Store` is a store on this machine, :class:`Server` an index that ``wcas serve`` serves; neither needs another package.
"""

from wcas._documents import (
    Collection,
    Found,
    Imported,
    ImportedFile,
    IndexFile,
    KeptFile,
    Listed,
    Missing,
    Promoted,
    Pulled,
    PulledFile,
    RefusedFile,
    Uploaded,
    Written,
)
from wcas._errors import Busy, Denied, Failed, NotFound, Refused, TimedOut, Usage, WcasError
from wcas._local import Store
from wcas._program import find_program
from wcas._server import Server

__all__ = [
    "Busy",
    "Collection",
    "Denied",
    "Failed",
    "Found",
    "Imported",
    "ImportedFile",
    "IndexFile",
    "KeptFile",
    "Listed",
    "Missing",
    "NotFound",
    "Promoted",
    "Pulled",
    "PulledFile",
    "Refused",
    "RefusedFile",
    "Server",
    "Store",
    "TimedOut",
    "Uploaded",
    "Usage",
    "WcasError",
    "Written",
    "find_program",
]
