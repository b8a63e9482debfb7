"""Processes are killed, told to end, started together or lose the time of day while callers ask."""

from __future__ import annotations

import ctypes.util
import mmap
import os
import re
import signal
import struct
import subprocess
from pathlib import Path

import pytest

from tests.e2e.faults.conftest import Follow, Record
from tests.e2e.faults.registry import ALIAS_URI, Registry
from tests.e2e.servers import Server, Start
from tests.processes import wait_for_exit
from tests.services import wait

pytestmark = pytest.mark.faults


def counted(server: Server, metric: str) -> float:
    """The sum of a metric's samples."""
    text = server.get("/metrics").text
    return sum(float(value) for value in re.findall(rf"^{metric}(?:{{[^}}]*}})? (\S+)$", text, re.MULTILINE))


def test_workers_killed(follow: Follow, registry: Registry, record: Record) -> None:
    """Of three workers one after the other is ended by kill -9, while the alias moves too."""
    server = follow(TREESERVE_WORKERS="3")
    first = server.workers
    with registry.load(server.port, n_callers=8) as load:
        load.go_on()
        for pid in first:
            os.kill(pid, signal.SIGKILL)
            for _ in wait(90, every_s=0.05):
                now = server.workers
                if len(now) == 3 and pid not in now:
                    break
            load.go_on(100)
        registry.promote("2")
        load.wait_for("2")
    answered = sum(load.by_version.values())
    predictions = counted(server, 'treeserve_requests_total{route="/predict",status="200"}')
    assert not set(first) & set(server.workers)
    assert load.n_wrong == 0
    # Each caller waits for one answer at a time, and a killed worker may have held the requests of all of them.
    assert len(load.failures) <= 8 * 3
    assert all(failure.startswith("Connection") for failure in load.failures), load.failures
    assert load.n_sent == answered + len(load.failures)
    assert counted(server, "treeserve_workers_lost_total") == 3
    assert counted(server, "treeserve_rows_total") <= load.n_sent
    assert list(Path(server.folder).rglob("*.db")) == []
    record(
        load,
        f"each is replaced; lost are the requests that the killed ones held; `/metrics` has {predictions:.0f} answers",
        n_held=len(load.failures),
    )
    assert server.end() == 0


def test_told_to_end_under_load(follow: Follow, registry: Registry, record: Record) -> None:
    """One of two services is told to end by SIGTERM, with a grace of two seconds; its callers go to the other."""
    ending = follow(TREESERVE_SHUTDOWN_GRACE_S="2", TREESERVE_WORKERS="2")
    staying = follow()
    with registry.load(ending.port, staying.port) as load:
        load.go_on(100)
        ending.process.send_signal(signal.SIGTERM)
        status = wait_for_exit(ending.process, 20)
        load.go_on(100)
    assert status == 0
    load.assert_flawless()
    record(load, "every request that was sent is answered, and the process ends with status 0")


CLOCK = """
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static volatile long *ahead_s;

__attribute__((constructor)) static void begin(void) {
    int file = open(getenv("CLOCK_FILE"), O_RDONLY);
    ahead_s = mmap(NULL, sizeof(long), PROT_READ, MAP_SHARED, file, 0);
    close(file);
}

int clock_gettime(clockid_t clock, struct timespec *now) {
    static int (*real)(clockid_t, struct timespec *);
    if (!real)
        real = (int (*)(clockid_t, struct timespec *))dlsym(RTLD_NEXT, "clock_gettime");
    int status = real(clock, now);
    if (clock == CLOCK_REALTIME && ahead_s)
        now->tv_sec += *ahead_s;
    return status;
}

time_t time(time_t *out) {
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    if (out)
        *out = now.tv_sec;
    return now.tv_sec;
}

int gettimeofday(struct timeval *restrict out, void *restrict zone) {
    (void)zone;
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    out->tv_sec = now.tv_sec;
    out->tv_usec = now.tv_nsec / 1000;
    return 0;
}
"""


def test_clock_jumps(follow: Follow, registry: Registry, record: Record, tmp_path: Path) -> None:
    """The time of day jumps ten years ahead, then to 1970, then back, and the alias moves each time."""
    assert ctypes.util.find_library("c")
    source, library, offset = tmp_path / "clock.c", tmp_path / "clock.so", tmp_path / "offset"
    source.write_text(CLOCK)
    subprocess.run(["cc", "-O2", "-shared", "-fPIC", "-o", library, source, "-ldl"], check=True)
    offset.write_bytes(struct.pack("l", 0))
    log = tmp_path / "payload.log"
    server = follow(
        LD_PRELOAD=str(library), CLOCK_FILE=str(offset), TREESERVE_PAYLOAD_LOG=str(log), TREESERVE_SHUTDOWN_GRACE_S="0"
    )
    ten_years_s = 10 * 365 * 86_400
    with offset.open("r+b") as file, mmap.mmap(file.fileno(), 8) as ahead, registry.load(server.port) as load:
        for ahead_s, version in [(ten_years_s, "2"), (-1_790_000_000, "1"), (0, "2")]:
            ahead[:] = struct.pack("l", ahead_s)
            load.go_on(100)
            registry.promote(version)
            load.wait_for(version)
    assert server.end() == 0
    load.assert_flawless()
    years = {line[16:20] for line in log.read_text(encoding="utf-8").splitlines()}
    assert len(years) == 3, years
    assert len(log.read_text(encoding="utf-8").splitlines()) == load.n_sent
    record(load, f"every answer has its line in the payload log, in the years {', '.join(sorted(years))}")


def test_cache_shared_by_four(start: Start, registry: Registry, record: Record, tmp_path: Path) -> None:
    """Four services start at once from one empty cache folder, one is killed as it downloads, and the alias moves."""
    registry.promote("1")
    given = {
        "TREESERVE_MODEL_URI": ALIAS_URI,
        "MLFLOW_TRACKING_URI": registry.uri,
        "TREESERVE_POLL_INTERVAL_S": "0.3",
        "TREESERVE_PAYLOAD_LOG": "off",
        "TREESERVE_CACHE_DIR": str(tmp_path / "shared"),
    }
    servers = [start(**given) for _ in range(4)]
    killed, *others = servers
    for _ in wait(90, every_s=0.02):
        if list((tmp_path / "shared").glob(".adding-*")):
            break
    os.killpg(killed.process.pid, signal.SIGKILL)
    for server in others:
        server.wait_until_ready()
    servers = [*others, start(**given)]
    servers[-1].wait_until_ready()
    with registry.load(*(server.port for server in servers), n_callers=8) as load:
        load.go_on(50)
        registry.promote("2")
        took_s = load.wait_for("2")
    load.assert_flawless()
    assert [server.end() for server in servers] == [0, 0, 0, 0]
    assert not list((tmp_path / "shared").glob(".adding-*"))
    record(load, f"all serve version 1, and version 2 after {took_s:.1f} s; nothing half-written is left in the folder")
