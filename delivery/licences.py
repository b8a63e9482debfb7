"""What packages say of their licences, in SPDX's terms where those words mean one of them."""

from __future__ import annotations

import re
from email.message import Message

# Of the classifiers, those that name one licence: "BSD License" names none of its several.
_CLASSIFIERS = {
    "Apache Software License": "Apache-2.0",
    "ISC License (ISCL)": "ISC",
    "MIT License": "MIT",
    "Mozilla Public License 2.0 (MPL 2.0)": "MPL-2.0",
    "Python Software Foundation License": "PSF-2.0",
    "BSD License": "BSD",
}
_WORDS = {
    "3-Clause BSD License": "BSD-3-Clause",
    "Apache 2.0": "Apache-2.0",
    "BSD License": "BSD",
    "CC0": "CC0-1.0",
    "MIT License": "MIT",
    "MIT license": "MIT",
}
_SHORT = 60  # characters; more is the licence itself and not its name
_DEBIAN = {
    "Apache-2": "Apache-2.0",
    "Artistic": "Artistic-1.0-Perl",
    "Expat": "MIT",
    "GPL-1": "GPL-1.0-only",
    "GPL-1+": "GPL-1.0-or-later",
    "GPL-2": "GPL-2.0-only",
    "GPL-2+": "GPL-2.0-or-later",
    "GPL-3": "GPL-3.0-only",
    "GPL-3+": "GPL-3.0-or-later",
    "LGPL-2": "LGPL-2.0-only",
    "LGPL-2+": "LGPL-2.0-or-later",
    "LGPL-2.1": "LGPL-2.1-only",
    "LGPL-2.1+": "LGPL-2.1-or-later",
    "LGPL-3": "LGPL-3.0-only",
    "LGPL-3+": "LGPL-3.0-or-later",
    "BSD-2-clause": "BSD-2-Clause",
    "BSD-3-clause": "BSD-3-Clause",
}


def python_licences(metadata: Message) -> tuple[str, ...]:
    """
    The licences of a Python package.

    Parameters
    ----------
    metadata : email.message.Message
        Its core metadata.

    Returns
    -------
    tuple of str
        An SPDX expression, what its older fields say, or where the text is; empty if they say nothing.
    """
    if expression := metadata["License-Expression"]:
        return (str(expression),)
    told = str(metadata["License"] or "").strip()
    if told and len(told) <= _SHORT and "\n" not in told and told not in ("BSD", "BSD License", "Dual License"):
        return (_WORDS.get(told, told),)
    classifiers = [text.rpartition(" :: ")[2] for text in metadata.get_all("Classifier") or () if "License ::" in text]
    if named := tuple(_CLASSIFIERS.get(text, text) for text in classifiers if text != "OSI Approved"):
        return named
    files = tuple(f"see {name} of its metadata" for name in metadata.get_all("License-File") or ())
    return files or ((told,) if told and len(told) <= _SHORT else ())


def debian_licences(name: str, text: str) -> tuple[str, ...]:
    """
    The licences of a Debian package.

    Parameters
    ----------
    name : str
        The package's.
    text : str
        Its ``copyright`` file.

    Returns
    -------
    tuple of str
        The names that its parts have, each once. Of a file in another format than the one that machines read, nothing
        is guessed; where it is, is said instead.
    """
    if not text.lower().startswith("format:"):
        return (f"see /usr/share/doc/{name}/copyright",) if text else ()
    named = re.findall(r"^License:[ \t]*(\S.*)$", text, re.MULTILINE | re.IGNORECASE)
    single = (part.strip() for name in named for part in re.split(r"\s+(?:and|or)\s+|,", name))
    return tuple(sorted({_DEBIAN.get(name, name) for name in single if name and len(name) <= _SHORT}))
