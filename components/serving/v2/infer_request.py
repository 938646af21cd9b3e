"""What the JSON of an inference request says, apart from the values of its raw tensors.

Clients send the same few hundred bytes of JSON before each tensor. What they say is read and checked once.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from components.bundles.signature import Arrays
from components.serving.http.messages import parse_json
from components.serving.request_error import Reason, RequestError
from components.serving.v2 import tensors
from components.serving.v2.values import boolean_of, whole_number

_NOT_HERE = ("shared_memory_region", "classification", "sequence_id")
_KEPT, _MOST_KEPT_BYTES = 1024, 1024


@dataclass(frozen=True, slots=True)
class Raw:
    """One tensor that comes as raw bytes.

    Attributes:
        name: of the input.
        datatype: V2's name.
        dtype: NumPy's, of numbers.
        shape: its shape.
        start: where its bytes start, behind the JSON.
        size: how many they are.
    """

    name: str
    datatype: str
    dtype: np.dtype | None
    shape: tuple[int, ...]
    start: int
    size: int

    def read(self, body: bytes, behind: int) -> np.ndarray:
        """Return the tensor from a body whose JSON has ``behind`` bytes, without copying it."""
        start = behind + self.start
        if self.dtype is None:
            content = memoryview(body)[start : start + self.size]
            return tensors.from_bytes(self.name, self.datatype, self.shape, content)
        return np.frombuffer(body, self.dtype, self.size // self.dtype.itemsize, start).reshape(self.shape)


@dataclass(frozen=True, slots=True)
class InferRequest:
    """A request without its raw bytes.

    Attributes:
        id: the client's name of the request; None without one.
        values: the inputs that came in JSON.
        raw: the inputs that come as bytes, in their order.
        size: bytes of all of them.
        outputs: each named output, and whether it is to be raw; None where no output is named.
        binary: whether outputs are to be raw of which nothing else is said.
        timeout_s: seconds to wait for its turn; None for as long as the server allows.
    """

    id: Any
    values: Arrays
    raw: tuple[Raw, ...]
    size: int
    outputs: dict[str, bool] | None
    binary: bool
    timeout_s: float | None

    def inputs(self, body: bytes, behind: int) -> Arrays:
        """Return the input tensors by name, of a body whose JSON has ``behind`` bytes.

        Raises:
            RequestError: it has not as many bytes as its tensors (INVALID).
        """
        if len(body) != behind + self.size:
            raise RequestError(
                Reason.INVALID, f"{len(body) - behind} bytes behind the JSON; its tensors have {self.size}"
            )
        return self.values | {raw.name: raw.read(body, behind) for raw in self.raw}


class InferRequestCache:
    """The last requests, by their JSON."""

    def __init__(self) -> None:
        self._requests: dict[bytes, InferRequest] = {}

    def read(self, content: bytes) -> InferRequest:
        """Return what ``content`` says.

        Raises:
            RequestError: it is not of the protocol's form (INVALID).
        """
        request = self._requests.get(content)
        if request is None:
            request = read(content)
            # An id is another one each time, and values are not to be held.
            if request.id is None and not request.values and len(content) <= _MOST_KEPT_BYTES:
                if len(self._requests) >= _KEPT:
                    self._requests.clear()
                self._requests[content] = request
        return request


def read(content: bytes) -> InferRequest:
    """Return what the JSON of a request says.

    Raises:
        RequestError: it is not of the protocol's form (INVALID).
    """
    asked = parse_json(content)
    if not isinstance(asked, dict) or not isinstance(asked.get("inputs"), list):
        raise RequestError(Reason.INVALID, "the request is a JSON object with a list of 'inputs'")
    values: Arrays = {}
    raw: dict[str, Raw] = {}
    start = 0
    for entry in asked["inputs"]:
        if not isinstance(entry, dict) or not isinstance(name := entry.get("name"), str):
            raise RequestError(Reason.INVALID, "each input is a JSON object with a 'name'")
        if name in values or name in raw:
            raise RequestError(Reason.INVALID, f"input {name!r} is given twice")
        shape = tensors.shape_of(name, entry.get("shape"))
        size = parameters_of(entry, f"input {name!r}").get("binary_data_size")
        if size is None:
            values[name] = tensors.from_list(name, entry.get("datatype"), shape, entry.get("data"))
        else:
            raw[name] = _raw(name, entry, shape, start, size)
            start += size
    parameters = parameters_of(asked, "the request")
    binary = boolean_of(parameters, "binary_data_output", False, "the request")
    return InferRequest(
        asked.get("id"),
        values,
        tuple(raw.values()),
        start,
        outputs_of(asked.get("outputs"), binary),
        binary,
        timeout_s(parameters),
    )


def outputs_of(named: Any, binary: bool) -> dict[str, bool] | None:
    """Return each output that is asked for by name, and whether it is to be raw: by its own word or by ``binary``.

    Raises:
        RequestError: they are no list of objects with names, a parameter is of another kind, or they ask for an
            extension that is not here (INVALID).
    """
    if named is None:
        return None
    if not isinstance(named, list):
        raise RequestError(Reason.INVALID, "'outputs' is a list")
    wanted = {}
    for entry in named:
        if not isinstance(entry, dict) or not isinstance(name := entry.get("name"), str):
            raise RequestError(Reason.INVALID, "each output is a JSON object with a 'name'")
        what = f"output {name!r}"
        wanted[name] = boolean_of(parameters_of(entry, what), "binary_data", binary, what)
    return wanted or None


def timeout_s(parameters: dict[str, Any]) -> float | None:
    """Return the request's own limit: ``timeout`` in microseconds, as Triton has it.

    Raises:
        RequestError: it is no whole number from 0 (INVALID).
    """
    if parameters.get("timeout") is None:
        return None
    timeout = whole_number(parameters["timeout"])
    if timeout is None or timeout < 0:
        raise RequestError(Reason.INVALID, "parameters.timeout: microseconds, a whole number")
    return timeout / 1e6 or None


def parameters_of(entry: dict[str, Any], what: str) -> dict[str, Any]:
    """Return the ``parameters`` of an entry; ``what`` says of which, for messages.

    Raises:
        RequestError: they are no object, or ask for an extension that is not here (INVALID).
    """
    parameters = entry.get("parameters")
    if parameters is None:
        return {}
    if not isinstance(parameters, dict):
        raise RequestError(Reason.INVALID, f"{what}: 'parameters' is a JSON object")
    for name in _NOT_HERE:
        if name in parameters:
            raise RequestError(Reason.INVALID, f"{what}: {name} is not supported")
    return parameters


def _raw(name: str, entry: dict[str, Any], shape: tuple[int, ...], start: int, given: Any) -> Raw:
    size = whole_number(given)
    if size is None or size < 0:
        raise RequestError(Reason.INVALID, f"input {name!r}: binary_data_size: a number of bytes")
    if "data" in entry:
        raise RequestError(Reason.INVALID, f"input {name!r}: has both 'data' and 'binary_data_size'")
    datatype = entry.get("datatype")
    if datatype == "BYTES":
        return Raw(name, datatype, None, shape, start, size)
    dtype = tensors.dtype_of(name, datatype)
    wanted = math.prod(shape) * dtype.itemsize
    if size != wanted:
        raise RequestError(
            Reason.INVALID, f"input {name!r}: {datatype} of shape {list(shape)} is {wanted} bytes, not {size}"
        )
    return Raw(name, datatype, dtype, shape, start, size)
