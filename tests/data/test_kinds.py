"""What data is for is told by the tensors that it has."""

from __future__ import annotations

import pytest

from data import kinds


@pytest.mark.parametrize(
    ("tensors", "kind"),
    [
        (("images", "labels"), "classification"),
        (("images", "inputs", "labels"), "translation"),
        (("images", "labels", "landmarks", "identities"), "reenactment"),
        (("images", "masks", "labels", "boxes", "box_labels"), "detection"),
        (("images", "labels", "texts"), "transcription"),
        (("images", "labels", "captions"), "text_to_image"),
        (("images", "inputs", "labels", "captions"), "controlled_generation"),
    ],
)
def test_the_kind_of_data_with_these_tensors(tensors, kind):
    assert kinds.of(tensors) == kind
