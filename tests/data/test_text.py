"""Transcripts: taken apart, numbered, and spelled again."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from data.text import encode, lengths, parts, spell

SYMBOLS = ("Bag", "Ankle boot", "T-shirt/top")
TRANSCRIPTS = st.lists(st.lists(st.sampled_from(SYMBOLS), min_size=1, max_size=5), min_size=1, max_size=4)


@given(TRANSCRIPTS, st.sampled_from([", ", "|"]))
def test_a_text_that_is_taken_apart_and_numbered_is_spelled_as_it_was(transcripts, separator):
    texts = [separator.join(transcript) for transcript in transcripts]
    taken = [parts(text, separator) for text in texts]
    assert taken == transcripts
    rows = encode(taken, SYMBOLS, 5)
    assert rows.dtype == np.int64 and rows.shape == (len(texts), 5)
    assert spell(rows, SYMBOLS, separator) == texts
    assert lengths(rows).tolist() == [len(transcript) for transcript in transcripts]


@given(st.text(min_size=1))
def test_without_a_separator_each_character_is_a_symbol(text):
    symbols = sorted(set(text))
    assert spell(encode([parts(text, "")], symbols, len(text)), symbols, "") == [text]


def test_after_the_last_symbol_comes_minus_one_only():
    assert encode([["b"], ["a", "b"]], "ab", 3).tolist() == [[1, -1, -1], [0, 1, -1]]


def test_a_symbol_without_an_index():
    with pytest.raises(KeyError, match="c"):
        encode([["c"]], "ab", 3)
