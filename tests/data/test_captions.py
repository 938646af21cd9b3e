"""Captions: words, their tokens, and back."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from data.captions import FIRST, PADDING, UNKNOWN, encode, spell, without, words


def test_words_are_letters_and_digits_in_lower_case():
    assert words("A T-shirt/top, no_3: Größe 2!") == ["a", "t", "shirt", "top", "no", "3", "größe", "2"]
    assert words(" ,_-") == []


def test_marks_belong_to_their_letters():
    assert words("लाल सात, e\u0301te\u0301") == ["लाल", "सात", "e\u0301te\u0301"]


def test_tokens():
    rows = encode([["a", "red", "cat"], ["a"], []], ["a", "red"], 2)
    assert rows.tolist() == [[FIRST, FIRST + 1], [FIRST, PADDING], [PADDING, PADDING]]
    assert encode([["cat", "a"]], ["a"], 3).tolist() == [[UNKNOWN, FIRST, PADDING]]


@given(st.lists(st.lists(st.sampled_from("abc"), max_size=5), max_size=5))
def test_what_is_encoded_is_spelled_as_it_was(captions):
    assert spell(encode(captions, "abc", 5), "abc") == [" ".join(caption) for caption in captions]


@given(st.text())
def test_words_of_a_normal_text_are_the_same(text):
    assert words(" ".join(words(text))) == words(text)


@given(st.lists(st.lists(st.sampled_from("abc"), max_size=5), max_size=5), st.sets(st.sampled_from("abc")))
def test_what_is_left_of_a_caption_stays_in_order_and_moves_up(captions, taken):
    rows = encode(captions, "abc", 5)
    left = without(rows, [FIRST + "abc".index(word) for word in taken])
    assert spell(left, "abc") == [" ".join(w for w in caption if w not in taken) for caption in captions]
    padded = left == PADDING
    assert (padded[:, 1:] >= padded[:, :-1]).all() and left.shape == rows.shape
