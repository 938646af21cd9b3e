"""The pictures of a model, as data URIs with captions and alternative texts."""

from __future__ import annotations

import base64
import struct
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from components.project import layout
from components.report_page.files import read_rows

# In the order of the sheet; pictures that are not named here come after these, learning curves last.
_CAPTIONS = {
    "samples": ("Samples", "Grid of new images that the model drew."),
    "before_and_after": (
        "Before and after",
        "The same captions and seeds: what the model before made of them, and below it what the fine-tuned one makes.",
    ),
    "controlled": (
        "Drawn by edge maps",
        "Edge maps; what the model before made of their captions alone; what is made of both; real pictures.",
    ),
    "worst_controlled": (
        "Least as their edge maps want them",
        "The same four rows for the test examples with the least agreement.",
    ),
    "seeds": ("Seeds", "Rows of images, each of one caption from several seeds."),
    "words": (
        "Where each word looks",
        "In each row an image and the words of its caption, bright where each was looked at while it came about.",
    ),
    "interpolation": ("Interpolation", "Rows of new images, each from one sample to another."),
    "traversal": (
        "Traversal",
        "Rows of new images, in each of which one number of the code goes from low to high.",
    ),
    "trajectory": ("Trajectory", "Rows of images, each from noise to a sample."),
    "translations": (
        "Translations",
        "Test inputs in the first row, what the model makes of them in the second, what they should be in the third.",
    ),
    "faces": (
        "Faces of people nobody trained on",
        "One shot of each; faces from 1, 4 and 8 shots; the right face; the training face with the nearest landmarks.",
    ),
    "driven": ("Driven", "Animated: people in columns, all moved by the landmarks of the first of them."),
    "detections": (
        "Boxes on test images",
        "Test images with the boxes that the model is sure of: right ones blue, wrong ones red, missed objects orange.",
    ),
    "masks": (
        "Masks on test images",
        "Test images in the first row, their right masks in the second, the model's in the third; a colour per class.",
    ),
    "worst_translations": (
        "Worst translations",
        "The same three rows for the test examples with the greatest errors.",
    ),
    "reconstructions": (
        "Reconstructions",
        "Test images in one row, what the model makes of each in the row below.",
    ),
    "filled_in": (
        "Filled in",
        "Test images, the same with their lower halves missing, and what the model fills in.",
    ),
    "confusion": ("Confusion", "Confusion matrix, actual class by predicted class."),
    "slices": (
        "Worst slices",
        "A row for each of the slices that are surely the worst: the test images in it with the worst scores.",
    ),
    "challenge_sets": (
        "Worst challenge sets",
        "A row for each of the challenge sets that are surely the worst: the images in it with the worst scores.",
    ),
    "mistakes": (
        "Hardest test examples",
        "Test images that were given the least probability of their own class, or with most wrong and missing boxes.",
    ),
    "precision_recall": (
        "Precision over recall",
        "How many of the answers are right, the more of the objects are found, at three overlaps.",
    ),
    "query_attention": (
        "Where queries look",
        "In each row a test image with its surest boxes, then where the query of each box looks.",
    ),
    "reliability": (
        "Reliability",
        "How often the model is right by how sure it is; the diagonal is calibrated.",
    ),
    "lines": ("Lines", "Test lines, each with what the model reads in it."),
    "lengths": (
        "By length",
        "Share of the test lines that are read without a mistake, by how many symbols they have.",
    ),
    "substitutions": ("Substitutions", "Which symbol of the test lines was written for which."),
    "attention": ("Attention", "Test images, bright where the model looks; of lines, a row for each symbol."),
    "memory": ("Memory", "Gradient of the answer by how many rows back it is taken."),
    "least_likely": (
        "Least likely test examples",
        "Test images to which the model gives the least likelihood.",
    ),
    "likelihood": ("Likelihood by class", "Histograms of bits per dimension, one per class."),
    "coverage": ("Coverage", "Share of the samples and of the training images that falls to each class."),
}
_CURVES = "learning_curves"
_CSS_PER_DOT = 96 / 160  # pictures are drawn at 160 dots per inch, and a page has 96


@dataclass(frozen=True)
class Picture:
    """A picture to embed.

    Attributes:
        caption: a few words.
        alt: what it shows, with its main numbers where they are known.
        uri: ``data:image/png;base64,...``.
        width: in CSS pixels; 0 when the file does not say.
        height: in CSS pixels.
    """

    caption: str
    alt: str
    uri: str
    width: int
    height: int

    @property
    def wide(self) -> bool:
        """Whether it needs the whole width of the page."""
        return self.width > 2 * self.height


def of(model: str) -> list[Picture]:
    """Return every picture of ``plots/``, the most telling first."""
    places = {name: place for place, name in enumerate(_CAPTIONS)}
    files = (layout.evaluated(model) / "plots").glob("*.png")
    order = sorted(
        files, key=lambda file: (file.stem == _CURVES, places.get(file.stem, len(places)), file.stem)
    )
    return [_picture(model, file) for file in order]


def _picture(model: str, file: Path) -> Picture:
    content = file.read_bytes()
    words = file.stem.replace("_", " ")
    caption, alt = _CAPTIONS.get(file.stem, (words.capitalize(), f"Picture of {words}."))
    if file.stem == "confusion":
        alt += _confusions(file.with_suffix(".csv"))
    if file.stem == _CURVES:
        alt = "Learning curves." + _curves(layout.trained(model) / "history.csv")
    uri = "data:image/png;base64," + base64.b64encode(content).decode()
    return Picture(caption, alt, uri, *_size(content))


def _size(png: bytes) -> tuple[int, int]:
    """Return the size in CSS pixels, as the PNG's first chunk (IHDR) states it: nothing jumps on loading."""
    if len(png) < 24 or png[12:16] != b"IHDR":
        return 0, 0
    width, height = struct.unpack(">II", png[16:24])
    return round(width * _CSS_PER_DOT), round(height * _CSS_PER_DOT)


def _confusions(file: Path) -> str:
    rows = read_rows(file)
    wrong = Counter((row["actual"], row["predicted"]) for row in rows if row["actual"] != row["predicted"])
    if not rows:
        return ""
    told = f" {len(rows) - wrong.total():,} of {len(rows):,} test examples are right"
    if wrong:
        (actual, predicted), count = wrong.most_common(1)[0]
        told += f"; the most frequent mistake is {actual} taken for {predicted} ({count:,})"
    return told + "."


def _curves(file: Path) -> str:
    rows = read_rows(file)
    told = []
    for column in list(rows[0])[1:] if rows else ():
        values = [float(row[column]) for row in rows if row[column]]
        if values:
            told.append(f" {column.replace('_', ' ')} from {values[0]:.4g} to {values[-1]:.4g}")
    return ",".join(told) + "." if told else ""
