"""Reads a request's body, refusing early what would not be answered anyway."""

from __future__ import annotations

from email.message import Message as MimeMessage

from starlette.datastructures import Headers
from starlette.requests import ClientDisconnect
from starlette.types import Receive, Scope

from app.endpoints.patience import Patience
from app.endpoints.request_context import request_context
from app.errors import BodyTooLarge, BodyTooSlow, UnsupportedMedia

# A body that stalls holds memory and a connection. Apache's rule: so long for nothing, and more for all that arrives.
PATIENCE_S = 20.0
_BYTES_PER_S = 500
# Python's parser takes time with the square of the number of parameters.
_MAX_MEDIA_CHARACTERS = 256


async def read_json_body(scope: Scope, receive: Receive, max_bytes: int, patience: Patience) -> bytes:
    """
    Read the body of a request that must be JSON.

    Raises
    ------
    UnsupportedMedia
        If it is declared to be something else.
    BodyTooSlow
        If it stalls.
    BodyTooLarge
        If it is declared, or turns out, to have more than `max_bytes`; the rest is not read.
    starlette.requests.ClientDisconnect
        If the caller goes away.
    """
    headers = request_context(scope).headers
    if headers.get(b"content-type") != b"application/json" or b"content-encoding" in headers:
        _check_media(Headers(scope=scope))
    declared = headers.get(b"content-length", b"")
    if declared.isdigit() and int(declared) > max_bytes:
        raise _too_large(max_bytes)
    try:
        return await patience.wait_for(_read(receive, max_bytes, patience))
    except TimeoutError:
        raise BodyTooSlow(
            f"The body has not come within {patience.seconds:.0f} s, and a second more for every {_BYTES_PER_S} bytes."
        ) from None


async def _read(receive: Receive, max_bytes: int, patience: Patience) -> bytes:
    chunks: list[bytes] = []
    n_bytes = 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientDisconnect
        chunk: bytes = message.get("body", b"")
        n_bytes += len(chunk)
        if n_bytes > max_bytes:
            raise _too_large(max_bytes)
        if not message.get("more_body", False):
            return b"".join([*chunks, chunk]) if chunks else chunk
        chunks.append(chunk)
        patience.give(len(chunk) / _BYTES_PER_S)


def _check_media(headers: Headers) -> None:
    declared = headers.get("content-type", "application/json")
    if len(declared) > _MAX_MEDIA_CHARACTERS:
        raise UnsupportedMedia("The Content-Type header is far too long; send 'Content-Type: application/json'.")
    media = MimeMessage()
    media["content-type"] = declared
    if media.get_content_type() != "application/json":
        raise UnsupportedMedia(
            f"The body is declared as {media.get_content_type()!r}; send JSON with the header "
            "'Content-Type: application/json'."
        )
    if str(media.get_param("charset", "utf-8")).lower() not in ("utf-8", "utf8"):
        raise UnsupportedMedia("JSON is sent in UTF-8; leave the charset out of the Content-Type header.")
    if headers.get("content-encoding", "identity").lower() != "identity":
        raise UnsupportedMedia("The body is compressed; send it without a Content-Encoding header.")


def _too_large(max_bytes: int) -> BodyTooLarge:
    return BodyTooLarge(f"The body has more than {max_bytes} bytes; send what it has in several requests.")
