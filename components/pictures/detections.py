"""Boxes on images: what a detector answers beside what is there, and where its queries look."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from components.bundles.signature import Arrays
from components.pictures import framed, grid, overlay, style
from components.pictures.framed import Frame
from data.prepared import PreparedData

SHOWN, CELL = 12, 240
QUERIES = 4


def draw(
    folder: Path, answers: Arrays, data: PreparedData, objects: np.ndarray, targets: np.ndarray, sure: float
) -> None:
    """Draw answers on the first test images and on those with the worst mistakes; and, where known, where queries look.

    Args:
        folder: where ``detections.png``, ``mistakes.png`` and ``query_attention.png`` go.
        answers: ``boxes`` in pixels of the images, ``scores``, ``labels``; maybe ``query_attention``
            [n, Q, H, W] of the first images, the largest of each map 1.
        data: whose test split it is.
        objects: float [N, M, 4], corners of the objects in pixels.
        targets: int64 [N, Q], the place of the object that each answer found, -1 where none.
        sure: the score from which on an answer counts.
    """
    given = answers["scores"] >= sure
    missed = [
        np.setdiff1d(np.flatnonzero(data.test.box_labels[i] >= 0), targets[i, given[i]])
        for i in range(len(data.test))
    ]
    wrong = np.where(given & (targets < 0), answers["scores"], 0.0).sum(axis=1)
    worst = np.argsort(-wrong - [len(places) for places in missed], kind="stable")
    for name, title, shown in (
        ("detections", f"Scores of {sure:g} or more", np.arange(len(data.test))),
        ("mistakes", "Most mistakes", worst),
    ):
        pictures = []
        for i in shown[:SHOWN]:
            frames = [
                Frame(objects[i, m], style.OTHER, _name(data.test.box_labels[i, m], data), below=True)
                for m in missed[i]
            ]
            for q in np.flatnonzero(given[i])[np.argsort(answers["scores"][i, given[i]], kind="stable")]:
                words = f"{_name(answers['labels'][i, q], data)} {answers['scores'][i, q]:.2f}"
                frames.append(
                    Frame(answers["boxes"][i, q], style.MAIN if targets[i, q] >= 0 else style.WRONG, words)
                )
            pictures.append(framed.draw(data.test.images[i], frames, CELL))
        title += ": right boxes blue, wrong ones red, missed objects orange"
        grid.draw(folder / f"{name}.png", np.stack(pictures), columns=4, title=title, cell=CELL)
    if "query_attention" in answers:
        _draw_attention(folder / "query_attention.png", answers, data)


def _name(label: int, data: PreparedData) -> str:
    return style.short(data.spec.classes[label], 10)


def _draw_attention(path: Path, answers: Arrays, data: PreparedData) -> None:
    """Draw for some images a row: the image with its surest answers, then where each of those queries looks."""
    maps = answers["query_attention"]
    cells, captions = [], []
    for i in range(len(maps)):
        image = data.test.images[i]
        surest = np.argsort(-answers["scores"][i], kind="stable")[:QUERIES]
        cells.append(framed.draw(image, [Frame(answers["boxes"][i, q], style.MAIN) for q in surest], CELL))
        captions.append("")
        for q in surest:
            shaded = overlay.shade(image[None], maps[i, q][None])[0]
            cells.append(framed.draw(shaded, [Frame(answers["boxes"][i, q], style.WRONG)], CELL))
            captions.append(f"{_name(answers['labels'][i, q], data)} {answers['scores'][i, q]:.2f}")
    grid.draw(
        path,
        np.stack(cells),
        captions,
        columns=QUERIES + 1,
        title="The surest answers, and where the query of each looks in the last layer",
        cell=CELL,
    )
