"""What the image that stands in for SeaweedFS runs: ``mini -bucket=NAME …``, and ``get … URL`` as wget would."""

from __future__ import annotations

import signal
import sys
import threading
import urllib.request

PORT = 8333


def main(arguments: list[str]) -> None:
    """Serve S3 until SIGTERM, with the bucket in it; or ask for a URL, and fail where there is no answer."""
    if arguments[0] == "get":
        address = arguments[-1].replace("/healthz", "/moto-api/")
        urllib.request.urlopen(address, timeout=5)  # noqa: S310  loopback's
        return
    from moto.server import ThreadedMotoServer

    ended = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: ended.set())
    server = ThreadedMotoServer("0.0.0.0", PORT)  # noqa: S104  other containers' as well
    server.start()
    bucket = next(argument.partition("=")[2] for argument in arguments if argument.startswith("-bucket="))
    urllib.request.urlopen(urllib.request.Request(f"http://127.0.0.1:{PORT}/{bucket}", method="PUT"), timeout=30)
    ended.wait()
    server.stop()


if __name__ == "__main__":
    main(sys.argv[1:])
