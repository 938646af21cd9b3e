"""Transcription: figures by hand, by length, and the pictures."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from components.tasks import transcription
from data.prepared import DataSpec, Split
from data.text import encode

TEXTS = ["ab", "ba", "abc", "cba"]
READ = ["ab", "b", "abb", "cbab"]  # right; one missing; one changed; one too much


def rows_of(texts: list[str]) -> np.ndarray:
    return encode([list(text) for text in texts], "abc", 4)


@pytest.fixture
def answered():
    spec = DataSpec(
        name="words", task="transcription", classes=("all",), height=6, width=20, channels=1, levels=256,
        mean=(0.5,), std=(0.2,), sha256="0" * 64, symbols=("a", "b", "c"), separator="", longest_text=4,
    )  # fmt: skip
    pictures = np.random.default_rng(0).integers(0, 256, (4, 6, 20, 1)).astype(np.uint8)
    test = Split(pictures, np.zeros(4, np.int64), list("wxyz"), texts=rows_of(TEXTS))
    answers = {"symbols": rows_of(READ), "confidence": np.array([0.9, 0.8, 0.7, 0.6], np.float32)}
    return SimpleNamespace(spec=spec, test=test), answers


def test_figures_by_hand(answered):
    data, answers = answered
    measured = transcription.measure(answers, data)
    value = {name: metric.value for name, metric in measured.metrics.items()}
    assert measured.primary == "exact_match"
    assert value == pytest.approx(
        {"exact_match": 1 / 4, "character_error_rate": 3 / 10, "length_accuracy": 1 / 2}
    )
    assert measured.per_class == [
        {"class": "2 symbols", "examples": 2, "exact_match": 0.5, "character_error_rate": 0.25},
        {
            "class": "3 symbols",
            "examples": 2,
            "exact_match": 0.0,
            "character_error_rate": pytest.approx(1 / 3),
        },
    ]
    assert transcription.scores(answers, data).tolist() == [1, 0, 0, 0]
    assert transcription.error_rates(answers, data) == pytest.approx([0, 1 / 2, 1 / 3, 1 / 3])


def test_rows_say_what_was_read(answered):
    data, answers = answered
    rows = transcription.rows(answers, data)
    assert rows["text"].tolist() == TEXTS and rows["predicted"].tolist() == READ
    assert rows["edits"].tolist() == [0, 1, 1, 1]


def test_strings_of_the_graph_are_left_out_of_what_is_measured(answered):
    data, answers = answered

    def predict(request):
        assert request["image"].shape == (4, 6, 20, 1)
        return answers | {"text": np.array(READ, dtype=object)}

    assert set(transcription.answer(predict, data)) == {"symbols", "confidence"}


def test_symbols_are_the_same_or_not():
    assert not transcription.TOLERANCES["symbols"].compare(np.array([3]), np.array([4]))[1] <= 1


@pytest.mark.parametrize("looked", [True, False])
def test_draws(answered, tmp_path, looked):
    data, answers = answered
    if looked:
        answers = answers | {"attention": np.random.default_rng(0).random((4, 4, 20))}
    transcription.draw(tmp_path, answers, data, transcription.measure(answers, data))
    names = {"lines", "mistakes", "substitutions", "lengths"} | ({"attention"} if looked else set())
    assert {file.stem for file in tmp_path.glob("*.png")} == names
    table = (tmp_path / "lengths.csv").read_text().splitlines()
    assert table[0] == "symbols,exact_match,low,high" and table[1].startswith("2,0.5,")
