"""Load from threads of this process, against a server of this machine, until told to stop."""

from __future__ import annotations

import http.client
import threading
from dataclasses import dataclass, field
from types import TracebackType

import numpy as np

from tests.components.serving import bundles
from tests.components.serving.server import binary, parse


@dataclass
class Load:
    """Clients that ask a classifier of :mod:`bundles` as fast as they are answered, and check every answer.

    Attributes:
        port: of the server.
        name: the model.
        clients: threads, each with a connection that it keeps as long as the server does.
        limit: most requests of each client.
        answered: ``(version, mark)`` and how many answers had them.
        wrong: what should not have come.
        lost: requests whose connection ended before the first byte of an answer.
    """

    port: int
    name: str = "m"
    clients: int = 4
    limit: int = 100_000
    answered: dict[tuple[str, int], int] = field(default_factory=dict)
    wrong: list[str] = field(default_factory=list)
    lost: int = 0

    def __enter__(self) -> Load:
        self._stop, self._lock = threading.Event(), threading.Lock()
        self._threads = [
            threading.Thread(target=self._ask, args=(number,), daemon=True) for number in range(self.clients)
        ]
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._stop.set()
        self.join()

    def join(self) -> None:
        """Wait until the clients are done."""
        for thread in self._threads:
            thread.join(30)

    @property
    def total(self) -> int:
        return sum(self.answered.values())

    def _ask(self, client: int) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        for number in range(self.limit):
            if self._stop.is_set():
                break
            given = bundles.example("classification", 1 + number % 3, seed=1000 * client + number)
            try:
                connection.request("POST", f"/v2/models/{self.name}/infer", *binary(given))
                response = connection.getresponse()
                body = response.read()
            except ConnectionRefusedError:
                break  # the server has ended
            except (http.client.RemoteDisconnected, ConnectionResetError, BrokenPipeError):
                with self._lock:
                    self.lost += 1
                connection.close()
                continue
            except Exception as error:
                with self._lock:
                    self.wrong.append(repr(error))
                break
            self._check(given, response, body)
        connection.close()

    def _check(self, given: dict[str, np.ndarray], response: http.client.HTTPResponse, body: bytes) -> None:
        if response.status != 200:
            with self._lock:
                self.wrong.append(f"{response.status} {body!r}")
            return
        version, outputs = parse(body, response.headers)
        mark = int(outputs["probabilities"][0, 1])
        right = bundles.answers("classification", given, mark)["probabilities"]
        with self._lock:
            if not np.array_equal(outputs["probabilities"], right):
                self.wrong.append(f"version {version}: {outputs['probabilities']}, not {right}")
            self.answered[version, mark] = self.answered.get((version, mark), 0) + 1
