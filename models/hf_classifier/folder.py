"""To and from folders that transformers reads: a base's weights, and the trained model for ``pipeline()``."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

import numpy as np
import torch

from data import atomic
from data.errors import UserError, nearest
from models.blocks.pixels import unit
from models.hf_classifier import pretrained
from models.hf_classifier.network import FineTuned


def load_weights(model: FineTuned, classes: tuple[str, ...]) -> None:
    """Put the weights of the named base into ``model``; its last layer only where the settings say ``head: keep``.

    Raises:
        UserError: the last layer is to be kept and the base's classes are not ``classes``.
    """
    from transformers import AutoModelForImageClassification
    from transformers.utils import logging

    logging.disable_progress_bar()
    config = model.config
    place = pretrained.locate(config.base)
    base = AutoModelForImageClassification.from_pretrained(
        place, local_files_only=True, use_safetensors=True, dtype=torch.float32
    )
    if config.head == "keep":
        _check_classes(config.base, tuple(base.config.id2label.values()), classes)
        model.base.load_state_dict(base.state_dict())
    else:
        model.base.base_model.load_state_dict(base.base_model.state_dict())


def _check_classes(base: str, theirs: tuple[str, ...], ours: tuple[str, ...]) -> None:
    if theirs == ours:
        return
    missing = [name for name in ours if name not in theirs]
    what = (
        f"no {missing[0]!r} among its classes.{nearest(missing[0], theirs)}"
        if missing
        else "its order differs."
    )
    raise UserError(
        f"head: 'keep' needs the classes of the data set in the order of the data set, but the base {base} has"
        f" {what} Use head 'new'."
    )


@torch.no_grad()
def check_processor(model: FineTuned, images_nhwc: np.ndarray) -> None:
    """Compare the base's image processor with our part of the graph on a few images, and send them through the base.

    Raises:
        UserError: the processor does what the graph cannot, or the base does not read images of that size.
    """
    from transformers import AutoImageProcessor

    processor = AutoImageProcessor.from_pretrained(
        pretrained.locate(model.config.base), local_files_only=True
    )
    colours = np.repeat(images_nhwc, model.process.channels // images_nhwc.shape[-1], axis=-1)
    theirs = processor(list(colours), return_tensors="pt", input_data_format="channels_last")["pixel_values"]
    ours = model.process(unit(torch.from_numpy(np.array(images_nhwc))))
    level = (1 / model.process.std).max()
    kind = model.processing.get("image_processor_type")
    if ours.shape != theirs.shape or (ours - theirs).abs().max() > 1.01 * level:
        raise UserError(
            f"base: {model.config.base}: its image processor ({kind}) does more than resize, crop, rescale and"
            " normalise, which is what the exported graph can do."
        )
    try:
        model.base.eval()(pixel_values=ours)  # or a batch norm would learn from them
    except (ValueError, RuntimeError) as error:
        raise UserError(
            f"base: {model.config.base}: it cannot read what its image processor gives: {error}"
        ) from None


def save_pretrained(model: FineTuned, folder: Path) -> None:
    """Write ``folder`` for ``transformers.pipeline("image-classification", model=folder)``; same model, same bytes."""
    from transformers.utils import logging

    logging.disable_progress_bar()
    with tempfile.TemporaryDirectory() as scratch:
        model.base.save_pretrained(scratch)
        for file in sorted(Path(scratch).iterdir()):
            if file.name != pretrained.CONFIG:
                atomic.write_bytes(folder / file.name, file.read_bytes())
        config = json.loads((Path(scratch) / pretrained.CONFIG).read_text())
    config.pop("transformers_version")  # the same weights are the same model by any version
    atomic.write_json(folder / pretrained.CONFIG, config)
    atomic.write_json(folder / pretrained.PROCESSOR, model.processing)
