"""Transcription: the text in an image. How often all of it is right first; the share of wrong symbols; by length."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from components.bundles.agreement import Agreement, Disagreement
from components.bundles.signature import Arrays, Predict, Tensor, Tolerance, image_tensor
from components.evaluation import hooks, image_inputs
from components.evaluation.hooks import Hook
from components.metrics import bootstrap, edit_distance
from components.metrics.measurement import Measurement, Metric
from components.metrics.paired import Scores
from data.prepared import DataSpec, PreparedData
from data.text import END, lengths, spell

TOLERANCES = {"symbols": Tolerance(0.5), "confidence": Tolerance(1e-4)}
"""Symbols are whole numbers: they agree when they are the same. The text is spelled from them."""

DIVERGED = 0.001
"""Share of the test lines that another runtime may read otherwise, where two symbols are about equally likely."""

SHOWN, READ = 24, 12

FITS = 28
"""Characters of a caption below a line."""

COMPARED_BY_JUDGE = False

METRICS = ("exact_match", "character_error_rate", "length_accuracy")

HOOKS: dict[str, Hook] = {"attention": hooks.attention}

extend = hooks.nothing_more


def signature(spec: DataSpec) -> tuple[list[Tensor], list[Tensor]]:
    """Return inputs and outputs of the graph; ``text`` is there in the exported one only."""
    outputs = [
        Tensor("symbols", "int64", (-1, spec.longest_text)),
        Tensor("confidence", "float32", (-1,)),
        Tensor("text", "string", (-1,)),
    ]
    return [image_tensor(spec)], outputs


inputs = image_inputs.inputs


def answer(predict: Predict, data: PreparedData) -> Arrays:
    """Return ``symbols`` int64 [N, L] and ``confidence`` float32 [N] of the whole test split, asked for in batches."""

    def numbers(request: Any) -> Arrays:
        return {name: values for name, values in predict(request).items() if name != "text"}

    return image_inputs.ask(numbers, {"image": data.test.images}, data)


def scores(answers: Arrays, data: PreparedData) -> np.ndarray:
    """Return 1 for each test line that is read without a mistake and 0 for each other one."""
    return (answers["symbols"] == data.test.texts).all(axis=1).astype(np.float64)


def error_rates(answers: Arrays, data: PreparedData) -> np.ndarray:
    """Return float64 [N]: the edits from what was written to each test line, in units of its length."""
    return _edits(answers, data) / lengths(data.test.texts)


def paired(answers: Arrays, data: PreparedData) -> list[Scores]:
    """Return whether each test line is read without a mistake, and its error rate."""
    return [
        Scores("exact_match", "higher", scores(answers, data), data.test.labels),
        Scores("character_error_rate", "lower", error_rates(answers, data)),
    ]


def agreements(answers: Arrays, columns: Mapping[str, np.ndarray], data: PreparedData) -> Iterator[Agreement]:
    """Yield how sure the model was of each line that is read as PyTorch reads it.

    Raises:
        Disagreement: too many lines are read otherwise.
    """
    # Where two symbols are as good as equally likely, all that follows may differ.
    read = rows(answers, data)["predicted"]
    same = read == columns["predicted"]
    allowed = max(1, int(DIVERGED * len(same)))
    if (~same).sum() > allowed:
        first = int(np.flatnonzero(~same)[0])
        raise Disagreement(
            f"{(~same).sum()} of {len(same)} test lines are read otherwise by ONNX Runtime, "
            f"the first as {str(read[first])!r} where PyTorch reads {columns['predicted'][first]!r}; "
            f"{allowed} may be."
        )
    confidence = answers["confidence"][same]
    yield Agreement(
        "confidence", "the confidence", confidence, columns["confidence"][same], TOLERANCES["confidence"]
    )


def measure(answers: Arrays, data: PreparedData) -> Measurement:
    """Return exact match, and edits per symbol (character error rate), over all lines and by length.

    ``length_accuracy`` is how often as many symbols were written as are there.
    """
    right, wrong, long = scores(answers, data), _edits(answers, data), lengths(data.test.texts)
    metrics = {
        "exact_match": Metric.of(bootstrap.proportion(right), "higher"),
        "character_error_rate": Metric.of(image_inputs.ratio(wrong, long), "lower"),
        "length_accuracy": Metric.of(bootstrap.proportion(lengths(answers["symbols"]) == long), "higher"),
    }
    by_length = [
        {
            "class": f"{length} symbol{'s' if length > 1 else ''}",
            "examples": int((long == length).sum()),
            "exact_match": float(right[long == length].mean()),
            "character_error_rate": float(wrong[long == length].sum() / long[long == length].sum()),
        }
        for length in np.unique(long)
    ]
    return Measurement("exact_match", metrics, by_length)


def rows(answers: Arrays, data: PreparedData) -> Arrays:
    """Return the text, what was read, how sure the model was of it, whether it is right, and the edits between."""
    spec = data.spec
    return {
        "text": np.array(spell(data.test.texts, spec.symbols, spec.separator)),
        "predicted": np.array(spell(answers["symbols"], spec.symbols, spec.separator)),
        "confidence": answers["confidence"],
        "correct": scores(answers, data) == 1,
        "edits": _edits(answers, data),
    }


def draw(folder: Path, answers: Arrays, data: PreparedData, measured: Measurement) -> None:
    """Draw lines with what is read in them, the worst mistakes, what is taken for what, exact match by length.

    ``attention`` [N, L, W], where the family can tell, is drawn over the first test lines, a row for each symbol. The
    lengths are written as CSV too, for ``dvc plots``.
    """
    from components.pictures import confusion, grid, overlay
    from components.pictures import lengths as by_length
    from components.pictures.style import short

    spec, test, right = data.spec, data.test, scores(answers, data)
    read, texts = rows(answers, data)["predicted"], spell(test.texts, spec.symbols, spec.separator)
    # The worst: the most edits, and among as many the surest. With few mistakes, the least sure right ones follow.
    surest = np.where(right == 1, -1, 1) * answers["confidence"]
    worst = np.lexsort((-surest, -_edits(answers, data)))[:SHOWN]
    titles = {"lines": "Test lines and what is read in them", "mistakes": "Worst mistakes"}
    for name, chosen in (("lines", np.arange(min(SHOWN, len(test)))), ("mistakes", worst)):
        captions = [
            f"{short(read[i] or '(nothing)', FITS)}\n"
            f"{'right' if right[i] else short(f'is {texts[i]}', FITS)}\n{answers['confidence'][i]:.0%} sure"
            for i in chosen
        ]
        wrong = right[chosen] == 0
        grid.draw(
            folder / f"{name}.png",
            test.images[chosen],
            captions,
            wrong,
            columns=4,
            title=titles[name],
            cell=200,
        )
    pairs = _substituted(answers["symbols"], test.texts)
    size = len(spec.symbols)
    table = np.bincount(pairs[:, 0] * size + pairs[:, 1], minlength=size**2).reshape(size, size)
    confusion.draw(folder / "substitutions.png", table, spec.symbols)
    shares = exact_match_by_length(answers, data)
    by_length.draw(folder / "lengths.png", {"": shares}, "exact match")
    by_length.write(folder / "lengths.csv", shares, "exact_match")
    if "attention" in answers:
        maps = answers["attention"][:READ]
        tiles = []
        for image, columns, symbols in zip(test.images, maps, answers["symbols"], strict=False):
            rows_of = np.broadcast_to(columns[:, None], (len(columns), *image.shape[:2]))
            looked = overlay.shade(np.broadcast_to(image, (len(columns), *image.shape)), rows_of)
            looked[symbols == END] = 255
            plain = np.broadcast_to(image, (*image.shape[:2], 3))
            tiles.append(np.concatenate([plain, *looked]))
        captions = [short(text, FITS) for text in read[: len(tiles)]]
        title = "Where it looks: a row for each symbol"
        grid.draw(folder / "attention.png", np.stack(tiles), captions, columns=4, title=title, cell=250)


def exact_match_by_length(answers: Arrays, data: PreparedData) -> dict[int, bootstrap.Interval]:
    """Return, for each length of the test lines, how often they are read without a mistake."""
    right, long = scores(answers, data), lengths(data.test.texts)
    return {int(length): bootstrap.proportion(right[long == length]) for length in np.unique(long)}


def _edits(answers: Arrays, data: PreparedData) -> np.ndarray:
    return edit_distance.distances(_bare(answers["symbols"]), _bare(data.test.texts))


def _substituted(written: np.ndarray, texts: np.ndarray) -> np.ndarray:
    """Return int64 [M, 2]: each pair (right, written) of symbols that lie on each other."""
    found = [edit_distance.substitutions(a, b) for a, b in zip(_bare(written), _bare(texts), strict=True)]
    return np.array([pair for pairs in found for pair in pairs], dtype=np.int64).reshape(-1, 2)


def _bare(rows: np.ndarray) -> list[list[int]]:
    return [row[row != END].tolist() for row in rows]
