"""Begins a worker; of what it needs, nothing is imported before Ctrl-C has a meaning."""

from __future__ import annotations

import signal
import sys

from app.processes import end_with_parent

if __name__ == "__main__":
    # Until the service can end in order; Python's own way out would be a traceback through half-done imports.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    end_with_parent()
    from app.workers.worker import main

    sys.exit(main(*map(int, sys.argv[1:])))
