"""Names for files and folders, made of text of any origin and script."""

from __future__ import annotations

import hashlib
import re

from scoregate.transliteration import to_ascii

LONGEST = 60
_UNSAFE = re.compile(r"[^A-Za-z0-9._-]+")
_RESERVED = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)(\..*)?", re.IGNORECASE)  # on Windows


def safe_name(text: str, empty: str = "unnamed") -> str:
    """Return a name that every file system takes, different for different texts.

    It has ASCII letters, digits, ``.``, ``_`` and ``-``, begins with a letter or digit, and is
    no path. Where it is not the text itself, it ends with eight digits of the text's hash.

    Parameters
    ----------
    text : str
    empty : str
        What stands for a text of which no character is left.

    Examples
    --------
    >>> safe_name("night-2"), safe_name("../etc/passwd"), safe_name("Dvořák 1")
    ('night-2', 'etc-passwd-7fef78f5', 'Dvorak-1-744f863f')
    """
    plain = _UNSAFE.sub("-", to_ascii(text)).strip("-._")
    name = plain[: LONGEST - 9].rstrip("-._")
    if name and name == text and not _RESERVED.fullmatch(name):
        return name
    digest = hashlib.sha256(text.encode("utf-8", "backslashreplace")).hexdigest()[:8]
    return f"{name or empty}-{digest}"
