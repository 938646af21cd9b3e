"""Pictures: the same bytes from the same numbers, pixels kept whole, and nothing of a user's own settings."""

from __future__ import annotations

import csv
import subprocess
import sys
from pathlib import Path

import matplotlib
import numpy as np
import pytest
from PIL import Image

from components.pictures import (
    bars,
    confusion,
    curves,
    framed,
    grid,
    histogram,
    memory,
    overlay,
    precision_recall,
    reliability,
    style,
)

NAMES = ("T-shirt/top", "Trouser", "Pullover", "Dress", "an uncommonly long name of a class")


def _draw_all(folder: Path) -> list[Path]:
    random = np.random.default_rng(0)
    labels, values = random.integers(0, 5, 200), random.normal(3, 1, 200)
    table = random.integers(0, 30, (5, 5))
    grid.draw(folder / "grid.png", _images(6, 8, 8, 1), ["a\nb"] * 6, [True, False] * 3, title="Six")
    confusion.draw(folder / "confusion.png", table, NAMES)
    histogram.draw(folder / "histogram.png", values, labels, NAMES, axis="bits")
    shares = {"train": np.full(5, 0.2), "samples": random.dirichlet(np.ones(5))}
    bars.draw(folder / "bars.png", shares, NAMES, axis="share", line=0.02)
    history = {
        "step": np.arange(5.0),
        "train_loss": np.exp(-np.arange(5.0)),
        "validation_loss": np.full(5, np.nan),
    }
    curves.draw(folder / "curves.png", history)
    memory.draw(folder / "memory.png", np.exp(-np.arange(8.0)))
    recalls = np.linspace(0, 1, 101)
    precisions = {f"overlap 0.{k}": (1 - recalls) ** k for k in (2, 5, 7)}
    precision_recall.draw(folder / "precision_recall.png", recalls, precisions, "AP 0.5")
    frame = framed.Frame(np.array([1.0, 2.0, 6.0, 7.0]), style.WRONG, "7 0.93")
    boxed = np.stack([framed.draw(image, [frame], 96) for image in _images(2, 8, 8, 1)])
    grid.draw(folder / "framed.png", boxed, title="Two", cell=96)
    reliability.draw(folder / "reliability.png", values / 6, values / 7, labels + 1, "Calibration")
    return sorted(folder.iterdir())


def test_the_same_bytes_again_whatever_the_users_settings(tmp_path):
    first = [path.read_bytes() for path in _draw_all(tmp_path / "a")]
    with matplotlib.rc_context(
        {"font.size": 30, "savefig.dpi": 17, "axes.facecolor": "red", "image.cmap": "jet"}
    ):
        second = [path.read_bytes() for path in _draw_all(tmp_path / "b")]
        assert matplotlib.rcParams["font.size"] == 30  # and the user's settings are left as they were
    assert len(first) == 9 and first == second


def test_no_date_and_no_version_is_written(tmp_path):
    for path in _draw_all(tmp_path):
        assert set(Image.open(path).info) == {"dpi"}


@pytest.mark.parametrize("shape", [(8, 8, 1), (28, 28, 3), (5, 13, 3)])
def test_small_images_are_whole_squares_of_pixels(tmp_path, shape):
    images = _images(3, *shape)
    grid.draw(tmp_path / "grid.png", images, columns=2, title="Three", cell=112)
    picture = np.asarray(Image.open(tmp_path / "grid.png").convert("RGB"))
    scale = round(112 / max(shape))
    for image in images:
        tile = np.broadcast_to(
            image.repeat(scale, 0).repeat(scale, 1), (shape[0] * scale, shape[1] * scale, 3)
        )
        assert _contains(picture, tile)


def test_large_images_are_made_smaller(tmp_path):
    grid.draw(tmp_path / "grid.png", _images(2, 400, 300, 3), title="Two", cell=112)
    width, height = Image.open(tmp_path / "grid.png").size
    assert width < 300 and height < 250


def test_marked_images_have_a_frame(tmp_path):
    white = np.full((2, 8, 8, 1), 255, np.uint8)
    grid.draw(tmp_path / "grid.png", white, marked=[False, True], title="Two")
    pixels = np.asarray(Image.open(tmp_path / "grid.png").convert("RGB")).reshape(-1, 3)
    wrong = [int(style.WRONG[i : i + 2], 16) for i in (1, 3, 5)]
    assert (pixels == wrong).all(axis=1).sum() == 3 * 4 * (112 + 3)


@pytest.mark.parametrize("size", [2, 10, 40, 100])
def test_confusions_of_few_and_many_classes(tmp_path, size):
    confusion.draw(tmp_path / "c.png", np.eye(size, dtype=int) * 5, tuple(f"class {k}" for k in range(size)))
    width, height = Image.open(tmp_path / "c.png").size
    assert max(width, height) < 2000


def test_confusions_as_rows(tmp_path):
    confusion.write(tmp_path / "c.csv", np.array([0, 1]), np.array([1, 1]), ('a "quoted", name', "b"))
    rows = list(csv.DictReader((tmp_path / "c.csv").open(newline="")))
    assert rows == [{"actual": 'a "quoted", name', "predicted": "b"}, {"actual": "b", "predicted": "b"}]


def test_a_history_of_one_row_and_of_constant_values(tmp_path):
    curves.draw(tmp_path / "one.png", {"step": np.array([1.0]), "train_loss": np.array([0.5])})
    curves.draw(tmp_path / "flat.png", {"step": np.arange(3.0), "accuracy": np.ones(3)})
    histogram.draw(tmp_path / "h.png", np.ones(4), np.zeros(4, int), ("a", "b"), axis="bits")
    for file in ("one.png", "flat.png", "h.png"):
        assert np.asarray(Image.open(tmp_path / file).convert("L")).std() > 1  # something is drawn


def test_evaluate_does_not_wait_for_matplotlib_before_it_draws():
    script = "import components.evaluate, sys; print('matplotlib' in sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=Path(__file__).parents[3], capture_output=True, text=True
    )
    assert done.stdout == "False\n", done.stderr


def _images(*shape: int) -> np.ndarray:
    return np.random.default_rng(1).integers(0, 256, size=shape, dtype=np.uint8)


def _contains(picture: np.ndarray, tile: np.ndarray) -> bool:
    height, width = tile.shape[:2]
    corners = np.argwhere((picture == tile[0, 0]).all(axis=2))
    return any(np.array_equal(picture[y : y + height, x : x + width], tile) for y, x in corners)


def test_what_is_looked_at_is_brighter():
    images = np.full((1, 2, 2, 1), 128, np.uint8)
    shaded = overlay.shade(images, np.array([[[0.0, 1.0], [0.5, 1.0]]])).astype(int)
    assert shaded.shape == (1, 2, 2, 3)
    brightness = shaded.sum(axis=3)[0]
    assert brightness[0, 0] < brightness[1, 0] < brightness[0, 1] == brightness[1, 1]


@pytest.mark.parametrize(
    ("shape", "cell", "scale"), [((8, 8, 1), 96, 12), ((20, 10, 3), 96, 5), ((400, 200, 3), 100, 0.25)]
)
def test_frames_lie_where_the_box_is(shape, cell, scale):
    height, width, _ = shape
    corners = np.array([0.25 * width, 0.25 * height, 0.75 * width, height])
    drawn = framed.draw(np.zeros(shape, np.uint8), [framed.Frame(corners, "#ff0000")], cell)
    assert drawn.shape == (height * scale, width * scale, 3)
    rows, columns = np.nonzero(drawn[:, :, 0])
    x0, y0, x1, y1 = corners * scale
    found = np.array([columns.min(), rows.min(), columns.max() + 1, rows.max() + 1])
    assert np.abs(found - corners * scale).max() <= 0.5
    inside = drawn[int(y0) + 3 : int(y1) - 3, int(x0) + 3 : int(x1) - 3]
    assert not inside.any()


@pytest.mark.parametrize("below", [False, True])
def test_words_of_a_frame_stay_in_the_picture(below):
    for corners in ([0, 0, 8, 8], [7, 7, 8, 8], [0, 7, 1, 8]):
        frame = framed.Frame(np.array(corners, float), "#ff0000", "Ankle boot", below)
        alone = framed.draw(np.zeros((8, 8, 1), np.uint8), [frame._replace(words="")], 96)
        drawn = framed.draw(np.zeros((8, 8, 1), np.uint8), [frame], 96)
        assert (drawn == 255).all(axis=2).sum() > 40 > (alone == 255).all(axis=2).sum(), "white letters"


def test_precision_is_written_by_recall(tmp_path):
    recalls = np.linspace(0, 1, 101)
    precision_recall.write(tmp_path / "curve.csv", recalls, {"overlap 0.50": 1 - recalls})
    with (tmp_path / "curve.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 101 and rows[25] == {"recall": "0.25", "overlap 0.50": "0.75"}
