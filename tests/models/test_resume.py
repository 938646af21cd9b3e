"""Resume points come back as they were saved, and are whole or absent."""

from __future__ import annotations

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from models import resume

PLAIN = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text()
TENSORS = st.builds(
    lambda size, dtype: torch.arange(size).to(dtype),
    st.integers(0, 5),
    st.sampled_from([torch.float32, torch.float64, torch.bfloat16, torch.int64, torch.uint8]),
)
TREES = st.recursive(
    PLAIN | TENSORS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.integers() | st.text(), inner, max_size=3),
    max_leaves=10,
)


def same(a, b) -> bool:
    if isinstance(a, torch.Tensor):
        return a.dtype == b.dtype and torch.equal(a, b)
    if isinstance(a, dict):
        return list(a) == list(b) and all(same(a[key], b[key]) for key in a)
    if isinstance(a, list):
        return len(a) == len(b) and all(map(same, a, b))
    return type(a) is type(b) and a == b


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=40)
@given(tree=TREES)
def test_every_tree_comes_back(tree, tmp_path):
    resume.save(tmp_path / "point", tree)
    assert same(tree, resume.load(tmp_path / "point"))


def test_tensors_come_back_at_aligned_addresses(tmp_path):
    # At others a matrix product takes its sums in another order on some processors: other last bits after a resume.
    resume.save(tmp_path / "point", [torch.zeros(size, dtype=torch.float64) for size in (1, 2, 3, 5)])
    assert [tensor.data_ptr() % 64 for tensor in resume.load(tmp_path / "point")] == [0, 0, 0, 0]


def test_infinity_comes_back(tmp_path):
    resume.save(tmp_path / "point", {"loss": float("inf")})
    assert resume.load(tmp_path / "point") == {"loss": float("inf")}


def test_shared_and_strided_tensors_can_be_saved(tmp_path):
    weights = torch.arange(12.0).reshape(3, 4)
    resume.save(tmp_path / "point", [weights, weights.T, weights[0]])
    for ours, theirs in zip(resume.load(tmp_path / "point"), [weights, weights.T, weights[0]], strict=True):
        assert torch.equal(ours, theirs)


def test_an_unfinished_write_leaves_the_last_point(tmp_path, monkeypatch):
    resume.save(tmp_path / "point", {"step": 1})

    def cut_off(tensors, path, metadata):
        path.write_bytes(b"half")
        raise OSError("No space left on device")

    monkeypatch.setattr(resume, "save_file", cut_off)
    with pytest.raises(OSError, match="No space"):
        resume.save(tmp_path / "point", {"step": 2})
    assert resume.load(tmp_path / "point") == {"step": 1}
    assert [file.name for file in tmp_path.iterdir()] == ["point"]


def test_a_point_that_was_cut_or_flipped_is_never_taken(tmp_path):
    tree = {"phase": "", "step": 3, "weights": torch.arange(6.0).reshape(2, 3), "mask": torch.tensor(True)}
    point = tmp_path / "point"
    resume.save(point, tree)
    whole = point.read_bytes()
    for place in range(len(whole)):
        for damaged in (whole[:place], whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :]):
            point.write_bytes(damaged)
            try:
                assert same(resume.load(point), tree)  # a flip in a blank of the header
            except resume.Damaged:
                continue
    point.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    with pytest.raises(resume.Damaged, match="another hash"):
        resume.load(point)
