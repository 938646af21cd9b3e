"""Average precision as COCO measures it (Lin et al. 2014), in two steps: match each image once, then count.

Matching looks at one image alone. So whatever images a resampled test set is made of, the matches stay, and only the
counting is done anew, with each image counted as often as it was drawn: thousands of resampled sets take seconds. The
numbers are those of pycocotools on the same boxes, for one as for many copies of an image.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

THRESHOLDS = np.linspace(0.5, 0.95, 10)
RECALLS = np.linspace(0.0, 1.0, 101)
MOST = 100
"""Of the detections of a class in an image only this many with the highest scores count."""

EVERY_SIZE = (0.0, np.inf)


@dataclass(frozen=True)
class Boxes:
    """Boxes of images, found or true; those of a row with a label of -1 are none.

    Attributes:
        corners: float [N, Q, 4], x0, y0, x1, y1 in any unit.
        labels: int64 [N, Q].
        scores: float [N, Q] of found ones, by which they are ranked.
    """

    corners: np.ndarray
    labels: np.ndarray
    scores: np.ndarray | None = None


@dataclass(frozen=True)
class Matches:
    """The detections of a class in all images, the highest score first, against the objects of a range of sizes.

    A detection does not count where it matched an object out of the range, or none and is itself out of it.

    Attributes:
        image: int64 [D], where each is from.
        query: int64 [D], which of the image's detections it is.
        target: int64 [T, D], the place of the object that it found among its image's, by threshold; -1 where none.
        counted: bool [T, D].
        objects: int64 [N], objects in each image.
    """

    image: np.ndarray
    query: np.ndarray
    target: np.ndarray
    counted: np.ndarray
    objects: np.ndarray

    @property
    def right(self) -> np.ndarray:
        """Whether each found an object, bool [T, D]."""
        return self.target >= 0


def overlaps(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Return the IoU float64 [A, B] of boxes [A, 4] and [B, 4]; 0 where neither has an area."""
    a, b = a.astype(np.float64)[:, None], b.astype(np.float64)[None]
    inside = np.clip(np.minimum(a[..., 2:], b[..., 2:]) - np.maximum(a[..., :2], b[..., :2]), 0, None)
    intersection = inside.prod(axis=-1)
    union = areas(a) + areas(b) - intersection
    return np.divide(intersection, union, out=np.zeros_like(intersection), where=union > 0)


def areas(corners: np.ndarray) -> np.ndarray:
    """Return the areas float64 [...] of boxes [..., 4]."""
    corners = corners.astype(np.float64)
    return (corners[..., 2:] - corners[..., :2]).prod(axis=-1)


def match(
    found: Boxes, truth: Boxes, num_classes: int, ranges: Sequence[tuple[float, float]] = (EVERY_SIZE,)
) -> list[list[Matches]]:
    """Match what was found with what is there, image by image; return matches by class and range of areas."""
    columns = [[[] for _ in ranges] for _ in range(num_classes)]
    objects = np.zeros((num_classes, len(ranges), len(truth.labels)), np.int64)
    for image in range(len(truth.labels)):
        for label in np.union1d(truth.labels[image], found.labels[image]):
            if label < 0:
                continue
            ours = np.flatnonzero(found.labels[image] == label)
            ours = ours[np.argsort(-found.scores[image, ours], kind="stable")[:MOST]]
            theirs = np.flatnonzero(truth.labels[image] == label)
            corners, there = found.corners[image, ours], truth.corners[image, theirs]
            iou = overlaps(corners, there)
            for place, (low, high) in enumerate(ranges):
                outside, beyond = _out_of(areas(there), low, high), _out_of(areas(corners), low, high)
                target, counted = _match(iou, outside, beyond)
                target = np.append(theirs, -1)[target]
                objects[label, place, image] = (~outside).sum()
                columns[label][place].append((np.full(len(ours), image), ours, target, counted))
    return [
        [_join(parts, objects[label, place], found.scores) for place, parts in enumerate(of_class)]
        for label, of_class in enumerate(columns)
    ]


def targets(found: Boxes, truth: Boxes, num_classes: int) -> np.ndarray:
    """Return int64 [N, Q]: the place of the object that each found box overlaps by half and found, -1 where none."""
    targets = np.full(found.labels.shape, -1)
    for (of_class,) in match(found, truth, num_classes):
        targets[of_class.image, of_class.query] = of_class.target[0]
    return targets


def _out_of(area: np.ndarray, low: float, high: float) -> np.ndarray:
    return (area < low) | (area > high)


def _match(iou: np.ndarray, outside: np.ndarray, beyond: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Match detections [D], the highest score first, with objects [G] of one image and class.

    Each takes the free object that it overlaps most, if it does enough; one ``outside`` of the range only if there is
    no other. Of equally good ones it is the last, as in pycocotools.

    Returns:
        ``target`` int64 [T, D], -1 where none or ``outside``, and ``counted`` bool [T, D].
    """
    thresholds = np.minimum(THRESHOLDS, 1 - 1e-10)
    target = np.full((len(thresholds), len(iou)), -1)
    counted = np.repeat(~beyond[None], len(thresholds), axis=0)
    if not iou.size:
        return target, counted
    order = np.argsort(outside, kind="stable")[::-1]  # backwards, so that argmax takes the last of equal ones
    iou, outside = iou[:, order], outside[order]
    free = np.ones((len(thresholds), len(outside)), bool)
    rows = np.arange(len(thresholds))
    for place in np.flatnonzero(iou.max(axis=1) >= thresholds[0]):
        fits = np.where(free & (iou[place] >= thresholds[:, None]), iou[place], -1.0)
        inside = np.where(outside, -1.0, fits)
        best = np.where(inside.max(axis=1) >= 0, inside.argmax(axis=1), fits.argmax(axis=1))
        hit = fits[rows, best] >= 0
        free[rows[hit], best[hit]] = False
        target[hit, place] = np.where(outside[best[hit]], -1, order[best[hit]])
        counted[hit, place] = ~outside[best[hit]]
    return target, counted


def _join(parts: list[tuple[np.ndarray, ...]], objects: np.ndarray, scores: np.ndarray) -> Matches:
    none = np.zeros((len(THRESHOLDS), 0), np.int64)
    empty = (none[0], none[0], none, none.astype(bool))
    image, query, target, counted = (
        np.concatenate(column, axis=-1) for column in zip(empty, *parts, strict=True)
    )
    order = np.argsort(-scores[image, query], kind="stable")
    return Matches(image[order], query[order], target[:, order], counted[:, order], objects)


def precision_and_recall(matches: Matches, counts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return average precision and greatest recall, float64 [B, T], of sets that hold each image so often.

    Args:
        matches: of one class and range.
        counts: int64 [B, N]; a row of ones for the images as they are.

    Returns:
        NaN where a set has no object of the class.
    """
    shape = len(counts), len(THRESHOLDS)
    objects = (counts @ matches.objects)[:, None].astype(np.float64)
    precision, recall = np.zeros(shape), np.zeros(shape)
    for place, (right, counted) in enumerate(zip(matches.right, matches.counted, strict=True)):
        # Behind the last right one nothing matters.
        last = np.flatnonzero(right)[-1] + 1 if right.any() else 0
        kept = np.flatnonzero(counted[:last])
        hits = np.flatnonzero(right[kept])
        if not len(hits):
            continue
        often = counts[:, matches.image[kept]]
        found = often[:, hits].cumsum(axis=1)
        shown = often.cumsum(axis=1)[:, hits]
        best = np.divide(found, shown, out=np.zeros(found.shape), where=shown > 0)
        best = np.maximum.accumulate(best[:, ::-1], axis=1)[
            :, ::-1
        ]  # the best at this recall or a higher one
        reached = np.divide(found, objects, out=np.zeros(found.shape), where=objects > 0)
        # How many of the 101 recalls each right one is the first to reach.
        steps = np.searchsorted(RECALLS, reached, side="right")
        steps = np.diff(steps, axis=1, prepend=0)
        precision[:, place] = (steps * best).sum(axis=1) / len(RECALLS)
        recall[:, place] = reached[:, -1]
    nothing = objects[:, 0] == 0
    precision[nothing], recall[nothing] = np.nan, np.nan
    return precision, recall


def curve(matches: Matches, place: int) -> np.ndarray:
    """Return the interpolated precision float64 [101] at each of :data:`RECALLS`, at the threshold of ``place``."""
    right, counted = matches.right[place], matches.counted[place]
    hits = np.flatnonzero(right[counted])
    found, total = np.arange(1, len(hits) + 1), matches.objects.sum()
    best = np.maximum.accumulate((found / (hits + 1))[::-1])[::-1]
    first = np.searchsorted(found / max(total, 1), RECALLS, side="left")
    return np.append(best, 0.0)[first]
