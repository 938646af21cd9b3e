"""Bodies while they arrive: what they cost goes by their bytes, and all of them share one budget."""

from __future__ import annotations

import re
import socket
import time
from contextlib import ExitStack
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from components.serving.http import body
from components.serving.http.body import FREE, Body, Budget
from components.serving.request_error import Reason, RequestError
from tests.components.serving import bundles
from tests.components.serving.http.test_connection import WHOLE, Echo, responses, spoken
from tests.components.serving.server import Server

MIB = 1 << 20


@given(st.lists(st.lists(st.sampled_from([1, 2, 100, 5000, FREE, FREE + 1]), max_size=6), max_size=3))
def test_pieces_of_any_size_are_joined_and_counted(bodies):
    budget = Budget(10 * FREE)
    arriving = Body(budget, 10 * FREE)
    for sizes in bodies:
        pieces = [bytes([number]) * size for number, size in enumerate(sizes)]
        for piece in pieces:
            arriving.add(piece)
            if piece[0] % 2:
                arriving.settle()
        size = sum(sizes)
        content, held = arriving.take()
        assert budget.held == (size if size > FREE else 0)
        assert type(content) is bytes and content == b"".join(pieces) and held == budget.held
        budget.release(held)


def test_what_finds_no_room_is_refused_and_what_goes_makes_room():
    budget = Budget(3 * FREE)
    first, second = Body(budget, 4 * FREE), Body(budget, 4 * FREE)
    first.add(bytes(2 * FREE))
    first.settle()
    second.add(bytes(FREE))
    second.settle()  # small ones are not counted
    second.add(b"1" + bytes(FREE))
    with pytest.raises(RequestError, match="requests hold 196608 bytes already; try again") as refused:
        second.settle()
    assert refused.value.reason is Reason.NO_ROOM and refused.value.retry_after_s == 1
    first.drop()
    second.drop()
    assert budget.held == 0 and budget.fallen(2 * FREE) and not budget.fallen(1)
    second.add(bytes(3 * FREE))
    assert second.take() == (bytes(3 * FREE), 3 * FREE)


def test_very_many_very_small_pieces_are_refused(monkeypatch):
    monkeypatch.setattr(body, "FREE_PIECES", 100)
    arriving = Body(Budget(MIB), MIB)
    for _ in range(101):
        arriving.add(b"12")
    with pytest.raises(RequestError, match="more than 100 pieces of less than 256 bytes: send larger chunks"):
        arriving.settle()
    larger = Body(Budget(MIB), MIB)
    for _ in range(1000):
        larger.add(bytes(256))
        larger.settle()
    assert larger.take()[0] == bytes(256000)


def chunked(chunk: bytes, count: int) -> bytes:
    head = b"POST /now HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n"
    return head + (b"%x\r\n%s\r\n" % (len(chunk), chunk)) * count + b"0\r\n\r\n"


def test_a_body_of_many_chunks_is_whole_and_one_of_very_many_is_told(monkeypatch):
    sent = chunked(b"ab", 1000)
    assert responses(spoken([sent])) == [(200, b"POST /now " + b"ab" * 1000)]
    monkeypatch.setattr(body, "FREE_PIECES", 999)
    ((status, told),) = responses(spoken([sent]))
    assert status == 413 and b"send larger chunks" in told


@pytest.mark.parametrize("endless", [b"0\r\na: ", b"3;a="], ids=["trailer", "extension"])
def test_what_the_parser_says_nothing_of_has_its_bound(endless):
    """A line without end, after the head: it would fill the memory, or be read for ever."""
    sent = [chunked(b"ab", 1)[:-5] + endless, *[b"a" * 4096] * 17]
    ((status, _),) = responses(spoken(sent))
    assert status == 431


def test_a_fault_behind_more_than_there_is_room_for_is_told():
    """Both in one piece: the fault ends the request, so that nothing is left to be counted."""
    sent = chunked(bytes(2 * FREE), 1)[:-5] + b"no chunk\r\n"
    ((status, told),) = responses(spoken([sent[:200], sent[200:]], max_held=FREE))
    assert status == 400 and b"this is no HTTP request" in told


def test_what_follows_a_refused_request_is_not_taken_up():
    refused = b"POST /refused HTTP/1.1\r\nhost: x\r\ncontent-length: 1\r\n\r\n1"
    answered = []

    class Seen(Echo):
        def answer(self, request, respond):
            answered.append(request.path)
            return super().answer(request, respond)

    wire = spoken([refused + WHOLE + refused], echo=Seen())
    assert [status for status, _ in responses(wire)] == [403] and answered == ["/refused"] and wire.closed


@pytest.mark.parametrize("path", [b"/now", b"/later", b"/refused"])
def test_the_budget_is_free_again_however_a_request_ends(path, monkeypatch):
    budgets = []
    monkeypatch.setattr(
        "tests.components.serving.http.test_connection.Budget",
        lambda most: budgets.append(Budget(8 * FREE)) or budgets[-1],
    )
    content = bytes(2 * FREE)
    sent = b"POST %s HTTP/1.1\r\nhost: x\r\ncontent-length: %d\r\n\r\n%s" % (path, len(content), content)
    for pieces in ([sent], [sent[:9000], sent[9000:]], [sent, sent, WHOLE], [sent[:-1]]):
        spoken(pieces, echo=Echo())
        assert budgets.pop().held == 0


def resident(process: int) -> int:
    """Return a process' memory in bytes."""
    return int(re.search(r"VmRSS:\s+(\d+)", Path(f"/proc/{process}/status").read_text())[1]) << 10


def test_unfinished_bodies_of_many_take_no_more_than_their_budget(tmp_path):
    """And give it back; small requests are answered meanwhile."""
    bundles.write(tmp_path / "m", "classification")
    worker = {"bundles": {"m": str(tmp_path / "m")}, "max_body": 8 * MIB, "max_held": 40 * MIB}
    with Server(tmp_path, worker=worker) as server, ExitStack() as stack:
        pid, client = server.process.pid, server.client()
        assert client.get("/v2")
        before, statuses = resident(pid), []
        head = b"POST /v2/models/m/infer HTTP/1.1\r\nhost: localhost\r\ncontent-length: %d\r\n\r\n" % (
            8 * MIB
        )
        for _ in range(20):
            connection = stack.enter_context(socket.create_connection(("127.0.0.1", server.port), timeout=10))
            connection.sendall(head + bytes(8 * MIB - 1))
            connection.settimeout(0.05)
            try:
                statuses.append(connection.recv(12))
            except TimeoutError:
                statuses.append(b"")
        assert statuses.count(b"") == 5 and statuses.count(b"HTTP/1.1 503") == 15
        assert client.get("/v2") and resident(pid) - before < 75 * MIB
        stack.close()
        time.sleep(2.2)
        assert resident(pid) - before < 12 * MIB
        assert client.get("/v2")
