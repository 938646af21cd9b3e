"""Takes a user's folder of images in as a challenge set of a data set: an entry of its ``dataset.yaml``."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap

from components.datasets import annotations, challenge_files, listing
from components.project.layout import dataset_file
from data import atomic, spec
from data.sources.listing import scan


def add(dataset: str, name: str, folder: Path, column: str | None = None) -> dict[str, int]:
    """Make ``folder`` the challenge set ``name`` of ``dataset``, or record how it is now; it is not changed.

    Args:
        dataset: a data set of any source.
        name: of the set.
        folder: the user's images, as :func:`components.datasets.add.add` takes them.
        column: of its metadata, for each value of which there is a set; what an entry has stays without it.

    Returns:
        How many images of each class; the empty name counts those without a label.

    Raises:
        UserError: there is no such data set, it can have no challenge set, or the folder is not as it must be.
    """
    path, folder = dataset_file(dataset), folder.expanduser().resolve()
    has_objects = spec.load(path).objects is not None
    yaml = YAML()
    yaml.width = 4096
    values = yaml.load(path.read_text())
    entry = values.setdefault("challenge_sets", CommentedMap()).setdefault(name, CommentedMap())
    entry["folder"] = str(folder)
    if column is not None:
        entry["column"] = column
    if has_objects and "coco" not in entry and (found_files := annotations.find(folder)):
        entry["coco"] = [str(file) for file in found_files]
    read = spec.parse(path, spec.DatasetSpec, values).of_challenge_set(name)
    found = scan(folder, read.objects.coco if read.objects else ())
    files = challenge_files.load(read, found)
    with atomic.file(path) as temporary, temporary.open("w") as file:
        yaml.dump(values, file)
    listing.record(dataset, found, name)
    return dict(sorted(Counter(file.label or "" for file in files).items()))
