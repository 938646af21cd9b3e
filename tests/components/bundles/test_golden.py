"""Golden examples in their file: what is written is read, texts among it."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from safetensors.numpy import load

from components.bundles import golden

TEXTS = st.lists(
    st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"])), min_size=1, max_size=5
)


@given(TEXTS)
def test_texts_are_read_as_they_were_written(texts):
    given_ = {"prompt": np.array(texts, dtype=object), "seed": np.array([3])}
    answers = {"image": np.zeros((1, 2, 2, 1), np.uint8), "text": np.array(["a"], dtype=object)}
    inputs, outputs = golden.read(golden.write(given_, answers), {"prompt"})
    assert inputs["prompt"].tolist() == texts and inputs["prompt"].dtype == object
    assert inputs["seed"].tolist() == [3]
    assert outputs.keys() == {"image"}  # a text is spelled from other outputs


def test_the_file_holds_utf8_and_zeros_after_it():
    content = golden.write({"prompt": np.array(["rot", "grün"], dtype=object)}, {})
    assert [row.tobytes() for row in load(content)["input/prompt"]] == [b"rot\0\0", "grün".encode()]
