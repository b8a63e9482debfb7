"""
What every request's head must be, beyond what the parser sees to (RFC 9112).

Where two servers on a request's way could read its head differently, whoever sends it could have one of them take a
part of a request for another one. So it is refused, and not guessed at.
"""

from __future__ import annotations

from collections.abc import Iterable

from app.errors import HeadRefused, HttpVersionUnknown, TransferCodingUnknown

# As ASGI names them. The parser of this project's server has other names for what it does not speak, 0.9 and 2.0.
_VERSIONS = {"1.0", "1.1", "2", "3"}


def check_head(http_version: str, headers: Iterable[tuple[bytes, bytes]]) -> None:
    """
    Refuse what may not be answered.

    Parameters
    ----------
    http_version : str
        As the ASGI scope has it.
    headers : iterable of (bytes, bytes)
        Names in lower case.

    Raises
    ------
    HeadRefused
        In the kind that says with what status.
    """
    if http_version not in _VERSIONS:
        raise HttpVersionUnknown(f"The request is in HTTP/{http_version}; send it in HTTP/1.1.")
    hosts, media, codings = (
        [value for name, value in headers if name == wanted]
        for wanted in (b"host", b"content-type", b"transfer-encoding")
    )
    if len(hosts) > 1 or (not hosts and http_version == "1.1"):
        raise HeadRefused(f"The request has {len(hosts)} Host headers; send one.")
    if len(set(media)) > 1:
        raise HeadRefused("The request has several Content-Type headers, which differ; send one.")
    if codings and http_version == "1.0":
        raise HeadRefused("HTTP/1.0 has no Transfer-Encoding; send a Content-Length, or HTTP/1.1.")
    # That the last of them is chunked, and where the body ends, the parser has seen to.
    if codings and [coding for coding in _items(codings) if coding] != [b"chunked"]:
        raise TransferCodingUnknown("The body's Transfer-Encoding is more than chunked; send it without the others.")


def _items(values: Iterable[bytes]) -> Iterable[bytes]:
    return (item.strip().lower() for item in b",".join(values).split(b","))
