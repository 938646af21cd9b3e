"""HTTP/1.1 as clients really speak it: in pieces, ahead of the answers, too much, too slowly, or not at all."""

from __future__ import annotations

import asyncio
import http.client
import json
import re
import socket
import time
from contextlib import ExitStack

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from components.serving.http.body import Budget
from components.serving.http.connection import MAX_AHEAD, MAX_HEAD, Connection
from components.serving.http.errors import STATUS
from components.serving.http.header_cache import Head
from components.serving.http.messages import Pending, Request, Response
from components.serving.request_error import Reason, RequestError
from components.serving.settings import Settings
from tests.components.serving import bundles
from tests.components.serving.server import Server, binary

WHOLE = b"GET /v2 HTTP/1.1\r\nhost: localhost\r\n\r\n"
BODY = b"POST /v2 HTTP/1.1\r\nhost: localhost\r\ncontent-length: 9\r\n\r\n12345678"


class Echo:
    """Answers each request with its method, path and body; those under /later after a turn of the loop."""

    def __init__(self) -> None:
        self.left: list[asyncio.Future] = []

    def admit(self, request: Request) -> None:
        if request.path.startswith("/refused"):
            raise RequestError(Reason.FORBIDDEN, "no")

    def answer(self, request: Request, respond) -> Pending | None:
        request.id = "i"
        if request.refused:
            respond(request, Response(str(request.refused).encode(), status=STATUS[request.refused.reason]))
            return None
        response = Response(b"%s %s %s" % (request.method.encode(), request.path.encode(), request.body))
        if not request.path.startswith("/later"):
            respond(request, response)
            return None
        waited = asyncio.get_running_loop().create_future()
        waited.add_done_callback(
            lambda f: self.left.append(f) if f.cancelled() else respond(request, response)
        )
        asyncio.get_running_loop().call_later(0, lambda: waited.cancelled() or waited.set_result(None))
        return waited


class Wire(asyncio.Transport):
    """What a connection writes, and whether it reads and is open."""

    def __init__(self) -> None:
        super().__init__()
        self.written, self.reading, self.closed = b"", True, False

    def write(self, data: bytes) -> None:
        assert not self.closed
        self.written += data

    def is_closing(self) -> bool:
        return self.closed

    def close(self) -> None:
        self.closed = True

    abort = close

    def pause_reading(self) -> None:
        self.reading = False

    def resume_reading(self) -> None:
        self.reading = True


def spoken(pieces: list[bytes], *, echo: Echo | None = None, **bounds) -> Wire:
    """Return the wire after a client sent ``pieces``, each as soon as the server reads."""

    async def scenario() -> Wire:
        wire, connections = Wire(), set()
        connection = Connection(
            echo or Echo(), Settings(**bounds), connections, Budget(bounds.get("max_held", 1 << 20))
        )
        connection.connection_made(wire)
        for piece in pieces:
            while not wire.reading and not wire.closed:
                await asyncio.sleep(0)
            if not wire.closed:
                connection.data_received(piece)
        for _ in range(3 + 3 * len(b"".join(pieces)) // 20):
            await asyncio.sleep(0)
        connection.connection_lost(None)
        return wire

    return asyncio.run(scenario())


def responses(wire: Wire) -> list[tuple[int, bytes]]:
    """Return status and body of each response on a wire."""
    found, rest = [], wire.written
    while rest:
        head, _, rest = rest.partition(b"\r\n\r\n")
        length = int(head.partition(b"content-length: ")[2].split(b"\r\n")[0])
        found.append((int(head.split()[1]), rest[:length]))
        rest = rest[length:]
    return found


REQUESTS = st.lists(
    st.tuples(
        st.sampled_from(["GET", "POST"]),
        st.sampled_from(["/now", "/later"]),
        st.binary(max_size=40),
        st.booleans(),
    ),
    min_size=1,
    max_size=12,
)


@settings(max_examples=200, deadline=None)
@given(REQUESTS, st.lists(st.integers(1, 60), max_size=40))
def test_any_requests_in_any_pieces_are_answered_in_order(requests, cuts):
    sent = b""
    for method, path, body, chunked in requests:
        sent += f"{method} {path} HTTP/1.1\r\nHost: x\r\n".encode()
        if chunked:
            sent += b"transfer-encoding: chunked\r\n\r\n"
            sent += b"%x\r\n%s\r\n" % (len(body), body) if body else b""
            sent += b"0\r\n\r\n"
        else:
            sent += b"content-length: %d\r\n\r\n%s" % (len(body), body)
    pieces, rest = [], sent
    for cut in cuts:
        pieces.append(rest[:cut])
        rest = rest[cut:]
    wire = spoken([piece for piece in (*pieces, rest) if piece])
    assert responses(wire) == [(200, f"{m} {p} ".encode() + body) for m, p, body, _ in requests]
    assert wire.reading and not wire.closed


ALIKE = [
    WHOLE,
    BODY + b"9",
    BODY + b"0",
    BODY.replace(b"/v2", b"/later") + b"9",
    BODY.replace(b"length: 9", b"length: 8"),
]


@settings(max_examples=200, deadline=None)
@given(st.lists(st.lists(st.sampled_from(ALIKE), min_size=1, max_size=2), min_size=1, max_size=12))
def test_a_head_that_is_known_means_what_it_meant(pieces):
    """Whole requests, one or two in a piece, many with the same head as the one before."""
    wire = spoken([b"".join(piece) for piece in pieces])
    sent = [request for piece in pieces for request in piece]
    assert responses(wire) == [responses(spoken([request]))[0] for request in sent]


def test_a_head_that_is_known_is_not_parsed_but_admitted_again(monkeypatch):
    parsed, asked = [], []
    monkeypatch.setattr(
        Connection, "on_url", lambda self, url: parsed.append(url) or setattr(self, "_target", url)
    )

    class Moody(Echo):
        def admit(self, request: Request) -> None:
            asked.append(request.path)
            if len(asked) == 3:
                raise RequestError(Reason.UNAUTHENTICATED, "no more")

    wire = spoken([BODY + b"1", BODY + b"2", BODY + b"3", BODY + b"4", WHOLE], echo=Moody())
    assert parsed == [b"/v2", b"/v2"] and asked == ["/v2"] * 5
    assert [status for status, _ in responses(wire)] == [200, 200, 401, 200, 200]


@pytest.mark.parametrize(
    "header", [b"expect: 100-continue", b"transfer-encoding: chunked", b"connection: close"]
)
def test_some_heads_are_not_to_be_known(header):
    """They say more than where the body ends."""
    content = b"0\r\n\r\n" if b"chunked" in header else b""
    data = b"POST /v2 HTTP/1.1\r\nhost: x\r\n" + header + b"\r\n\r\n" + content
    request = Request("POST", "/v2", b"", dict([header.split(b": ")]))
    request.keep = b"close" not in header
    assert Head.of(data, request) is None


@settings(max_examples=300, deadline=None)
@given(
    st.binary(max_size=200)
    | st.lists(st.sampled_from([WHOLE, BODY, b"\r\n", b"GET ", b"\0", b"A" * 30, b": x"])).map(b"".join)
)
def test_noise_is_refused_or_waited_for(noise):
    """No exception, and no status but what a client's mistakes have."""
    assert {status for status, _ in responses(spoken([noise]))} <= {200, 400}


def test_what_is_no_http_is_told():
    wire = spoken([b"hello\r\n\r\n"])
    ((status, body),) = responses(wire)
    assert status == 400 and b"this is no HTTP request" in body and wire.closed


def test_a_fault_after_good_requests_leaves_their_answers_whole():
    wire = spoken([b"GET /later HTTP/1.1\r\nhost: x\r\n\r\n", b"hello\r\n\r\n"])
    assert [status for status, _ in responses(wire)] == [200, 400] and wire.closed


@pytest.mark.parametrize(
    "pieces",
    [
        [b"GET /%s HTTP/1.1\r\nhost: x\r\n\r\n" % (b"a" * MAX_HEAD)],
        [b"GET / HTTP/1.1\r\na: "] + [b"a" * 4096] * 17,
    ],
)
def test_a_head_has_its_size(pieces):
    """Also one that never ends, of which the parser says nothing."""
    wire = spoken(pieces)
    ((status, body),) = responses(wire)
    assert status == 431 and b"at most 65536" in body and (wire.closed or wire.reading)


def test_requests_sent_ahead_are_bounded():
    later = b"POST /later HTTP/1.1\r\nhost: x\r\ncontent-length: 1\r\n\r\n1"
    wire = spoken([later * 500])
    assert responses(wire) == [(200, b"POST /later 1")] * (1 + MAX_AHEAD) and wire.closed
    assert wire.written.count(b"connection: close") == 1


def test_a_body_that_grows_too_long_is_refused_at_once_and_read_on_for_a_moment():
    head = b"POST / HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n"
    chunk = b"5\r\n12345\r\n"
    wire = spoken([head, chunk, chunk, chunk], max_body=12)
    assert responses(wire)[0][0] == 413 and b"connection: close" in wire.written and not wire.closed
    assert spoken([head, chunk, chunk, chunk, b"x" * 12], max_body=12).closed is False
    assert spoken([head, chunk, chunk, chunk, b"x" * 12, b"x"], max_body=12).closed


def test_a_refused_request_without_a_body_costs_no_connection():
    wire = spoken([b"GET /refused HTTP/1.1\r\nhost: x\r\n\r\n", WHOLE])
    assert [status for status, _ in responses(wire)] == [403, 200] and not wire.closed


@pytest.mark.parametrize(
    "request_",
    [
        b"GET / HTTP/1.0\r\n\r\n",
        b"GET / HTTP/1.0\r\nconnection: keep-alive\r\n\r\n",
        b"GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n",
        b"GET / HTTP/1.1\r\nhost: x\r\nconnection: upgrade\r\nupgrade: h2c\r\nconnection: close\r\n\r\n",
    ],
)
def test_a_connection_ends_where_the_client_expects_it(request_):
    wire = spoken([request_])
    assert [status for status, _ in responses(wire)] == [200]
    assert b"connection: close\r\n" in wire.written and wire.closed


UPGRADE = b"host: x\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAEAAEAA\r\n"
UPGRADES = [
    b"POST /now HTTP/1.1\r\n" + UPGRADE + b"content-length: 9\r\n\r\n123456789",
    b"POST /later HTTP/1.1\r\n"
    + UPGRADE
    + b"transfer-encoding: chunked\r\n\r\n4\r\n1234\r\n5\r\n56789\r\n0\r\n\r\n",
    b"GET /now HTTP/1.1\r\n" + UPGRADE + b"\r\n",
]


@pytest.mark.parametrize("request_", UPGRADES)
def test_a_wish_for_another_protocol_is_ignored_wherever_the_request_is_cut(request_):
    """Java's client, and ``curl --http2``, wish for HTTP/2 with each first request."""
    expected = responses(spoken([request_.replace(b"Upgrade: h2c\r\n", b""), BODY + b"9"]))
    assert [status for status, _ in expected] == [200, 200]
    for cut in range(len(request_)):
        wire = spoken([piece for piece in (request_[:cut], request_[cut:] + BODY, b"9") if piece])
        assert responses(wire) == expected and not wire.closed
    bytewise = spoken([bytes([byte]) for byte in request_ + BODY + b"9"])
    assert responses(bytewise) == expected


def test_wishes_for_another_protocol_may_be_sent_ahead():
    wire = spoken([b"".join(UPGRADES * 9)])
    assert responses(wire) == [responses(spoken([request]))[0] for request in UPGRADES] * 9
    assert wire.reading and not wire.closed


def test_a_wish_for_another_protocol_hides_nothing():
    """What is refused without it is refused with it."""
    for framing in (b"transfer-encoding: chunked\r\ntransfer-encoding: gzip", b"transfer-encoding: gzip"):
        wire = spoken([b"POST / HTTP/1.1\r\n" + UPGRADE + framing + b"\r\n\r\n0\r\n\r\n" + WHOLE])
        assert [status for status, _ in responses(wire)] == [400]
    head = b"POST /%s HTTP/1.1\r\n" + UPGRADE + b"content-length: 2\r\nexpect: 100-continue\r\n\r\n"
    assert spoken([head % b"", b"ab"]).written.startswith(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK")
    assert spoken([head % b"refused"]).written.startswith(b"HTTP/1.1 403 ")


def test_who_asks_first_whether_to_send_is_told():
    head = b"POST /%s HTTP/1.1\r\nhost: x\r\ncontent-length: 2\r\nexpect: 100-continue\r\n\r\n"
    wire = spoken([head % b"", b"ab"])
    assert wire.written.startswith(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK")
    assert spoken([head % b"refused"]).written.startswith(b"HTTP/1.1 403 ")
    older = spoken([(head % b"").replace(b"HTTP/1.1", b"HTTP/1.0"), b"ab"])
    assert responses(older) == [(200, b"POST / ab")]  # and nothing before it


def test_a_client_that_leaves_is_not_computed_for():
    async def scenario():
        echo = Echo()
        connection = Connection(echo, Settings(), set(), Budget(1 << 20))
        connection.connection_made(Wire())
        connection.data_received(b"GET /later HTTP/1.1\r\nhost: x\r\n\r\n")
        connection.connection_lost(None)
        await asyncio.sleep(0.01)
        return echo.left

    assert len(asyncio.run(scenario())) == 1


@pytest.mark.parametrize(
    ("sent", "expected"),
    [
        (b"", []),
        (WHOLE, [200]),
        (ALIKE[3], [200]),
        (ALIKE[3] * 3, [200] * 3),
        (BODY, [400]),
        (WHOLE + BODY[:20], [200, 400]),
        (ALIKE[3] + BODY, [200, 400]),
        (b"POST /refused HTTP/1.1\r\nhost: x\r\ncontent-length: 9\r\n\r\n1234", [403]),
    ],
)
def test_a_client_that_sends_no_more_is_answered(sent, expected):
    """It may have shut down its sending side alone, as ``nc -N`` does, and reads on."""

    async def scenario() -> tuple[Wire, bool]:
        wire = Wire()
        connection = Connection(Echo(), Settings(), set(), Budget(1 << 20))
        connection.connection_made(wire)
        if sent:
            connection.data_received(sent)
        open_ = connection.eof_received()
        for _ in range(20):
            await asyncio.sleep(0)
        return wire, open_

    wire, open_ = asyncio.run(scenario())
    assert [status for status, _ in responses(wire)] == expected
    assert wire.closed or not open_


def test_a_half_closed_connection_is_answered_by_a_real_server(every_kind):
    body, headers = binary(bundles.example("slow", 1))
    head = "POST /v2/models/slow/infer HTTP/1.1\r\nhost: localhost\r\n"
    head += "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    with socket.create_connection(("127.0.0.1", every_kind.port), timeout=10) as connection:
        connection.sendall(head.encode() + b"content-length: %d\r\n\r\n" % len(body) + body)
        connection.shutdown(socket.SHUT_WR)
        answer = connection.makefile("rb").read()
    assert answer.startswith(b"HTTP/1.1 200 OK") and b"connection: close" in answer


def test_a_client_that_does_not_read_is_not_read_from_and_ends():
    async def scenario():
        wire = Wire()
        connection = Connection(Echo(), Settings(request_s=10), set(), Budget(1 << 20))
        connection.connection_made(wire)
        connection.pause_writing()
        connection.data_received(WHOLE + WHOLE)
        assert not wire.reading and not wire.written
        connection.end_if_late(time.monotonic() + 5, 60, crowded=False)
        assert not wire.closed
        connection.resume_writing()
        await asyncio.sleep(0.01)
        assert len(responses(wire)) == 2 and wire.reading
        connection.pause_writing()
        connection.end_if_late(time.monotonic() + 11, 60, crowded=False)
        assert wire.closed

    asyncio.run(scenario())


SLOW = [
    (b"", []),
    (WHOLE[:-9], [408]),
    (WHOLE + WHOLE[:3], [200, 408]),
    (BODY.replace(b"/v2", b"/v2/repository/index"), [408]),
    (WHOLE + BODY.replace(b"POST", b"GET"), [200, 408]),
]


def test_a_request_that_does_not_arrive_has_its_time(tmp_path):
    """Also a second one; a connection between two requests may be idle for longer."""
    bundles.write(tmp_path / "m", "classification")
    worker = {"bundles": {"m": str(tmp_path / "m")}, "request_s": 0.4}
    with Server(tmp_path, worker=worker) as server, ExitStack() as stack:
        address = "127.0.0.1", server.port
        idle, *slow = [
            stack.enter_context(socket.create_connection(address, timeout=5)) for _ in (None, *SLOW)
        ]
        idle.sendall(WHOLE)
        for connection, (sent, _) in zip(slow, SLOW, strict=True):
            connection.sendall(sent)
        for connection, (_, expected) in zip(slow, SLOW, strict=True):
            answer = connection.makefile("rb").read()  # until the server ends the connection
            assert [int(status) for status in re.findall(rb"HTTP/1.1 (\d+)", answer)] == expected
            assert answer.count(b"did not arrive whole within 0.4 s") == expected.count(408)
        assert sum(event.get("status") == 408 for event in server.events()) == 4
        time.sleep(0.6)
        idle.sendall(WHOLE)
        answers = b""
        while answers.count(b"HTTP/1.1 200 OK") < 2:
            more = idle.recv(4096)
            assert more
            answers += more


def test_one_connection_too_many_is_told(tmp_path):
    bundles.write(tmp_path / "m", "classification")
    with Server(tmp_path, worker={"bundles": {"m": str(tmp_path / "m")}, "max_connections": 2}) as server:
        kept = [server.client(), server.client()]
        for client in kept:
            client.get("/v2")
        status, body, headers = server.client().ask("GET", "/v2")
        assert status == 503 and "too many connections" in json.loads(body)["error"]
        assert headers["retry-after"] == "1" and headers["connection"] == "close"
        for path in ("/v2/health/live", "/v2/health/ready", "/v2/models/m/ready", "/metrics"):
            status, _, headers = server.client().ask("GET", path)
            assert status == 200 and headers["connection"] == "close"
        assert server.client().ask("POST", "/v2/repository/index")[0] == 200
        kept.pop().close()
        time.sleep(0.1)
        assert server.client().get("/v2")


def test_a_large_answer_and_a_large_request_arrive_whole(tmp_path):
    bundles.write(tmp_path / "m", "classification")
    with Server(tmp_path, worker={"bundles": {"m": str(tmp_path / "m")}}) as server:
        given = bundles.example("classification", 256)
        body, headers = binary(given)
        connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=10)
        connection.request(
            "POST", "/v2/models/m/infer", iter([body[:100], body[100:]]), headers, encode_chunked=True
        )
        assert connection.getresponse().status == 200
