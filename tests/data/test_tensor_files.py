from __future__ import annotations

import numpy as np
import pytest
from safetensors.numpy import load, save

from data import tensor_files

LAYOUTS = [
    {"images": (np.uint8, (2, 3, 3, 1)), "labels": (np.int64, (2,))},
    {"b": (np.float32, (1, 2)), "a": (np.float32, (3,)), "z": (np.int64, (1,)), "c": (np.uint8, (5,))},
    {"empty": (np.uint8, (0,)), "offsets": (np.int64, (1,))},
]


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_file_begins_as_the_library_writes_it(layout):
    tensors = {name: np.ones(shape, dtype) for name, (dtype, shape) in layout.items()}
    expected = save(tensors)
    header, places = tensor_files.begin(layout)
    found = bytearray(len(expected))
    found[: len(header)] = header
    for name, values in tensors.items():
        found[places[name] : places[name] + values.nbytes] = values.tobytes()
    assert bytes(found) == expected


def test_maps_are_what_was_written_and_never_reach_the_file(tmp_path):
    tensors = {"images": np.arange(6, dtype=np.uint8).reshape(2, 3), "boxes": np.ones((2, 1), np.float32)}
    (tmp_path / "a").write_bytes(save(tensors, {"made": "by"}))
    found = tensor_files.maps(tmp_path / "a")
    for name, values in tensors.items():
        np.testing.assert_array_equal(found[name], values)
        found[name][:] = 0
    np.testing.assert_array_equal(tensor_files.maps(tmp_path / "a")["images"], tensors["images"])


_GRID = np.arange(24, dtype=np.int32).reshape(2, 3, 4)


@pytest.mark.parametrize(
    "values",
    [
        _GRID,
        _GRID.transpose(2, 0, 1),
        _GRID[:, ::-1],
        _GRID[..., ::2],
        np.asfortranarray(_GRID),
        np.broadcast_to(_GRID[0], (5, 3, 4)),
        _GRID.astype(">i4"),
        np.float32(1.5).reshape(()),
    ],
    ids=["contiguous", "transposed", "reversed", "strided", "fortran", "broadcast", "big-endian", "scalar"],
)
def test_an_array_of_any_layout_is_read_back(values):
    read = load(tensor_files.encode({"values": values}))["values"]
    assert read.shape == values.shape
    np.testing.assert_array_equal(read, values)
