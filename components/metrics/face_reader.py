"""What is read off a face by means that know nothing of the model: where its landmarks are, and whose face it is.

Both are fitted in closed form to the training faces of the data set, so that figures of different models compare. They
err too: what they make of real faces is measured beside.
"""

from __future__ import annotations

import numpy as np

from data.arrays import whole

FACES = 2000
"""Greatest number of training faces, evenly chosen, that are fitted to."""

RIDGE = 5e-4
"""Weight of the penalty, as a share of the pixels' summed variance. Chosen on the validation faces."""

DIRECTIONS = 80
"""Principal components of the pixels that identities are told apart in."""

_SHRINKAGE = 1e-3


class LandmarkReader:
    """Ridge regression of landmarks on pixels (Hoerl & Kennard 1970), in its dual form: faces are fewer than pixels."""

    def __init__(self, images: np.ndarray, landmarks: np.ndarray) -> None:
        """Fit ``landmarks`` [N, L, 2] to ``images`` uint8 [N, H, W, C]."""
        chosen = _evenly(len(images))
        self._shape = landmarks.shape[1:]
        points = landmarks[chosen].reshape(len(chosen), -1).astype(np.float64)
        pixels = _pixels(images[chosen])
        self._mean, self._centre = pixels.mean(axis=0), points.mean(axis=0)
        pixels -= self._mean
        products = pixels @ pixels.T
        penalty = max(RIDGE * np.trace(products), 1e-9)
        dual = np.linalg.solve(products + penalty * np.eye(len(chosen)), points - self._centre)
        self._weights = pixels.T @ dual

    def read(self, images: np.ndarray) -> np.ndarray:
        """Return float64 [N, L, 2], in [0, 1] of the sides."""
        return (self._centre + (_pixels(images) - self._mean) @ self._weights).reshape(-1, *self._shape)


class IdentityReader:
    """Linear discriminant analysis (Fisher 1936; Rao 1948): where people differ more than their pictures."""

    def __init__(self, images: np.ndarray, identities: np.ndarray) -> None:
        """Fit to ``images`` uint8 [N, H, W, C] of the people ``identities`` int64 [N]."""
        chosen = _evenly(len(images))
        pixels = _pixels(images[chosen])
        self._mean = pixels.mean(axis=0)
        pixels -= self._mean
        _, directions = np.linalg.eigh(pixels @ pixels.T)
        basis = pixels.T @ directions[:, ::-1][:, :DIRECTIONS]
        self._basis = basis / np.maximum(np.linalg.norm(basis, axis=0), 1e-9)
        features = pixels @ self._basis
        means = means_by_person(features, identities[chosen])[1]
        within = features - means
        scatter = within.T @ within / len(within)
        scatter += (_SHRINKAGE * np.trace(scatter) / len(scatter) + 1e-12) * np.eye(len(scatter))
        self._whiten = np.linalg.cholesky(np.linalg.inv(scatter))

    def read(self, images: np.ndarray) -> np.ndarray:
        """Return float64 [N, D]: near for pictures of one person, far for others."""
        return (_pixels(images) - self._mean) @ self._basis @ self._whiten


def means_by_person(features: np.ndarray, identities: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the mean features of each person [P, D], in the order of their numbers, and each example's [N, D]."""
    _, person = np.unique(identities, return_inverse=True)
    sums = np.zeros((person.max() + 1, features.shape[1]))
    np.add.at(sums, person, features)
    means = sums / np.bincount(person)[:, None]
    return means, means[person]


def recognised(features: np.ndarray, real: np.ndarray, identities: np.ndarray) -> np.ndarray:
    """Return bool [N]: whether each of ``features`` [N, D] is nearest to the person that it should show.

    Args:
        features: of the pictures in question, of the people ``identities`` [N].
        real: features of the real picture that each of them stands for [N, D]; a person is the mean of theirs, without
            the one in question.
        identities: int64 [N].
    """
    means, own = means_by_person(real, identities)
    _, person, counts = np.unique(identities, return_inverse=True, return_counts=True)
    size = counts[person][:, None]
    others = np.where(size > 1, (own * size - real) / np.maximum(size - 1, 1), own)
    distance = (features**2).sum(axis=1)[:, None] - 2 * features @ means.T + (means**2).sum(axis=1)
    distance[np.arange(len(features)), person] = ((features - others) ** 2).sum(axis=1)
    return distance.argmin(axis=1) == person


def _evenly(count: int) -> np.ndarray:
    return np.unique(np.linspace(0, count - 1, min(count, FACES)).round().astype(np.int64))


def _pixels(images: np.ndarray) -> np.ndarray:
    return whole(images).reshape(len(images), -1) / 255
