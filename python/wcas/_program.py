"""Where the program is that this package was installed with."""

import os
import shutil
import sys
import sysconfig
from pathlib import Path
from typing import Union


def find_program() -> str:
    """Return the path of the program ``wcas``: ``$WCAS_PROGRAM``, else the one beside this package, else the first in the search path."""
    named = os.environ.get("WCAS_PROGRAM")
    if named:
        return named
    name = "wcas" + (sysconfig.get_config_var("EXE") or "")
    places: list[Union[str, Path]] = [sysconfig.get_path("scripts"), Path(sys.executable).parent]
    if sys.version_info >= (3, 10):
        places.append(sysconfig.get_path("scripts", scheme=sysconfig.get_preferred_scheme("user")))
    # `pip install --target DIR` puts scripts into DIR/bin.
    places.append(Path(__file__).parent.parent / "bin")
    for place in places:
        path = os.path.join(place, name)
        if os.access(path, os.X_OK) and os.path.isfile(path):
            return path
    found = shutil.which("wcas")
    if found is None:
        raise FileNotFoundError("the program wcas is not there: install wcas again, or set WCAS_PROGRAM to its path")
    return found
