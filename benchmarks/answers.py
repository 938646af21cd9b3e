"""Two builds of the server side by side: the same bundles, the same requests, and every answer that differs.

    python -m benchmarks.answers OLD NEW [--bundles FOLDER] [--json FILE]

OLD and NEW are checkouts, each with its virtual environment ``.venv``. Each folder in FOLDER is a bundle and is served
under its name; without ``--bundles`` they are NEW's ``artifacts/bundles``. Both servers run as ``darkroom serve``, over
HTTP and gRPC, and are asked one request after the other: what ``answers_asked.py`` makes of the bundles' own golden
examples, with mistakes of every kind among them.

Status, headers and content have to be the same, but for what two runs of one build differ in: dates, ids that the
server gives, times and process numbers. What differs is printed with both answers, and the exit status is 1.
"""

from __future__ import annotations

import http.client
import json
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import grpc
from google.protobuf.json_format import MessageToDict

from benchmarks.answers_asked import Call, Request, calls, requests
from benchmarks.builds import bundles_folder, parser, running
from benchmarks.command import keep
from components.bundles.bundle import DESCRIPTION
from components.serving.grpc import open_inference_grpc_pb2 as pb
from components.serving.grpc.methods import SERVICE

HEADERS = {"date", "x-request-id", "content-length"}
"""Headers that differ from run to run: an id or a time inside a body has another length."""
TIMES = {"ns", "last_inference", "started_at", "uptime_s", "pid"}
"""Keys of JSON whose values do."""
TIMEOUT_S = 120
LINE = 300
"""Characters of a value that are printed."""
ABSENT = "(absent)"


def main() -> None:
    """Ask both builds, print what differs, and exit with 1 where anything does."""
    options = parser(__doc__)
    options.add_argument("--json", type=Path, help="file for the differences")
    arguments = options.parse_args()
    folder = bundles_folder(arguments)
    bundles = {found.parent.name: found.parent for found in sorted(folder.glob(f"*/{DESCRIPTION}"))}
    if not bundles:
        sys.exit(f"{folder}: no bundles there")
    asked: list[Request | Call] = [*requests(bundles), *calls(bundles)]
    old, new = (answers(checkout.resolve(), bundles, asked) for checkout in (arguments.old, arguments.new))
    different = [
        {"request": question.title, "old": before, "new": after}
        for question, before, after in zip(asked, old, new, strict=True)
        if before != after
    ]
    keep(different, arguments.json)
    show(asked, new, different)
    sys.exit(bool(different))


def answers(
    checkout: Path, bundles: dict[str, Path], asked: list[Request | Call]
) -> list[tuple[str, dict[str, Any], Any]]:
    """Return what a build answers to each request: status, headers and content that can be compared."""
    with running(checkout, bundles) as server, channel(server.grpc_port) as calling:
        return [ask(server.port, one) if isinstance(one, Request) else call(calling, one) for one in asked]


def ask(port: int, request: Request) -> tuple[str, dict[str, Any], Any]:
    """Send a request over a connection of its own."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=TIMEOUT_S)
    connection.request(request.method, request.path, request.body, dict(request.headers))
    response = connection.getresponse()
    body = response.read()
    connection.close()
    headers = {name.lower(): value for name, value in response.getheaders() if name.lower() not in HEADERS}
    # JSON alone, or before raw tensors.
    size = int(headers.get("inference-header-content-length", len(body)))
    try:
        content = [steady(json.loads(body[:size])), body[size:].hex()]
    except ValueError:
        kind = headers.get("content-type", "")
        content = sorted(names(body.decode())) if "openmetrics" in kind or "version=" in kind else body.hex()
    return str(response.status), headers, content


def steady(value: Any) -> Any:
    """Return a JSON value without what differs from run to run."""
    if isinstance(value, dict):
        return {key: steady(inner) for key, inner in value.items() if key not in TIMES}
    return [steady(inner) for inner in value] if isinstance(value, list) else value


def names(metrics: str) -> set[str]:
    """Return the series of Prometheus' text, without their values."""
    return {line.rsplit(" ", 1)[0] if line[:1] != "#" else line for line in metrics.splitlines()}


@contextmanager
def channel(port: int) -> Iterator[grpc.Channel]:
    """Connect over gRPC, for answers of any size."""
    options = [("grpc.max_receive_message_length", -1)]
    with grpc.insecure_channel(f"127.0.0.1:{port}", options) as connected:
        yield connected


def call(connected: grpc.Channel, asked: Call) -> tuple[str, dict[str, Any], Any]:
    """Make a call."""
    answer = getattr(pb, f"{asked.method}Response")
    method = connected.unary_unary(f"/{SERVICE}/{asked.method}", response_deserializer=answer.FromString)
    try:
        content, call = method.with_call(asked.content, timeout=TIMEOUT_S)
    except grpc.RpcError as error:
        return error.code().name, metadata(error.trailing_metadata()), error.details()
    return "OK", metadata(call.trailing_metadata()), MessageToDict(content)


def metadata(entries: Any) -> dict[str, Any]:
    """Return gRPC's headers that can be compared."""
    return {name: str(value) for name, value in entries or () if name not in HEADERS}


def show(asked: list[Request | Call], answered: list, different: list[dict[str, Any]]) -> None:
    """Print how many requests of each status there were, and each difference."""
    statuses = Counter(status for status, _, _ in answered)
    print(
        f"{len(asked)} requests; statuses {dict(sorted(statuses.items()))}; {len(different)} answers differ"
    )
    for one in different:
        print(f"\n{one['request']}")
        for part, before, after in zip(("status", "headers", "content"), one["old"], one["new"], strict=True):
            for place, old, new in differences(part, before, after):
                print(f"  {place}\n    old {shortened(old)}\n    new {shortened(new)}")


def differences(place: str, old: Any, new: Any) -> Iterator[tuple[str, Any, Any]]:
    """Yield where two JSON values differ, as deep as both have the same form, with both values there."""
    if isinstance(old, dict) and isinstance(new, dict):
        for key in {**old, **new}:
            yield from differences(f"{place}.{key}", old.get(key, ABSENT), new.get(key, ABSENT))
    elif isinstance(old, list) and isinstance(new, list) and len(old) == len(new):
        for number, pair in enumerate(zip(old, new, strict=True)):
            yield from differences(f"{place}[{number}]", *pair)
    elif old != new:
        yield place, old, new


def shortened(value: Any) -> str:
    """Return a value in one line."""
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) < LINE else f"{text[:LINE]} ..."


if __name__ == "__main__":
    main()
