"""A worker's line to its supervisor carries whole messages, and ends with either of them."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator

import pytest

from app.workers.channel import Channel, encode


@pytest.fixture
def ends() -> Iterator[tuple[socket.socket, socket.socket]]:
    """Both ends of a line."""
    one, other = socket.socketpair()
    with one, other:
        yield one, other


def test_messages_arrive_whole_and_in_order(ends: tuple[socket.socket, socket.socket]) -> None:
    """However the bytes come, and however many threads send."""
    channel = Channel(ends[0])
    ends[1].sendall(encode({"a": 1}) + encode({"b": "x" * 300_000})[:5])
    rest = encode({"b": "x" * 300_000})[5:]
    sender = threading.Thread(target=ends[1].sendall, args=(rest,))
    sender.start()
    messages = iter(channel)
    assert (next(messages), next(messages)) == ({"a": 1}, {"b": "x" * 300_000})
    sender.join()
    received = Channel(ends[1])
    senders = [threading.Thread(target=channel.send, args=({"n": n, "x": "y" * 50_000},)) for n in range(8)]
    for one in senders:
        one.start()
    arrived = iter(received)
    assert {next(arrived)["n"] for _ in senders} == set(range(8))


def test_who_reads_learns_that_the_other_is_gone(ends: tuple[socket.socket, socket.socket]) -> None:
    """And who sends does not fail."""
    channel = Channel(ends[0])
    ends[1].close()
    channel.send({"a": 1})
    channel.send({"a": 1})
    assert list(channel) == []


def test_who_sends_waits_for_nobody(ends: tuple[socket.socket, socket.socket]) -> None:
    """It is the event loop that sends, and the other end may be stopped; what does not fit is lost."""
    channel = Channel(ends[0])
    for number in range(1100):
        channel.send({"n": number, "x": "y" * 10_000})
    numbers = []
    for message in Channel(ends[1]):
        numbers.append(message["n"])
        if len(numbers) == 1000:
            break
    assert numbers == list(range(1000))


def test_what_was_to_be_sent_goes_out_at_the_end(ends: tuple[socket.socket, socket.socket]) -> None:
    """A worker's last words: that it cannot serve, and what it has counted."""
    channel = Channel(ends[0])
    for number in range(50):
        channel.send({"n": number, "x": "y" * 1000})
    channel.close()
    ends[0].shutdown(socket.SHUT_WR)
    assert [message["n"] for message in Channel(ends[1])] == list(range(50))
