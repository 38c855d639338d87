"""Where there is no JDK: the JRE of `make install` and a Maven from Maven Central; prints mvn and JAVA_HOME."""

from __future__ import annotations

import os
import sys

from issuance.stack.downloads import fetch, unpack
from issuance.stack.java import java
from issuance.stack.place import load_place


def main() -> None:
    """Print both, one a line."""
    cache = load_place(os.environ).cache
    (archive,) = fetch("maven", cache, lambda text: print(text, file=sys.stderr))
    home = unpack(archive, cache / archive.name.removesuffix(".tar.gz"))
    print(next(home.glob("*/bin/mvn")))
    print(java().parents[1])


if __name__ == "__main__":
    main()
