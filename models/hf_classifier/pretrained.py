"""What a base is: a folder as transformers writes it, here or in the cache of the hub, described in plain JSON."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from data.errors import UserError, nearest
from models.blocks import weight_files
from models.settings import Settings

CONFIG, PROCESSOR = "config.json", "preprocessor_config.json"


class Pretrained(Settings):
    """A base without its weights.

    Attributes:
        config: the network's ``config.json``.
        processor: every setting of the image processor, those that its file leaves to their defaults included.
        sha256: over the weights, so that a training with other ones is another training.
    """

    config: dict[str, Any]
    processor: dict[str, Any]
    sha256: str


def read(base: str) -> Pretrained:
    """Describe the base that lies in a folder or has a name on the hub.

    Raises:
        UserError: there is none, or it is not an image classifier with safetensors weights and an image processor.
    """
    folder = locate(base)
    for name, what in ((CONFIG, "network"), (PROCESSOR, "image processor")):
        if not (folder / name).is_file():
            raise UserError(f"base: {base}: no {name} there, so it holds no {what}.{_nearest_folder(folder)}")
    weights = weight_files.in_folder(folder)
    if not weights:
        raise UserError(f"base: {base}: no weights there (*.safetensors; pickled ones are not read).")
    return Pretrained(
        config=_config(base, folder), processor=_processor(base, folder), sha256=weight_files.sha256(weights)
    )


def locate(base: str) -> Path:
    """Return the folder of a base; a name is looked up in the hub's cache, and on the hub unless offline.

    Raises:
        UserError: there is no such folder, and no such name where it can be looked up.
    """
    return weight_files.locate(base, "base", ("own", "scratch"))


def _nearest_folder(folder: Path) -> str:
    """Say which folder in or beside ``folder`` is one, as a checkpoint of ours has it inside."""
    near = [file.parent for file in [*folder.glob(f"*/{CONFIG}"), *folder.parent.glob(f"*/{CONFIG}")]]
    return f" Did you mean {str(near[0])!r}?" if near else " It can be a folder that save_pretrained wrote."


def _config(base: str, folder: Path) -> dict[str, Any]:
    from transformers import AutoConfig
    from transformers.models.auto.modeling_auto import MODEL_FOR_IMAGE_CLASSIFICATION_MAPPING_NAMES

    try:
        config = AutoConfig.from_pretrained(folder, local_files_only=True)
    except (OSError, ValueError) as error:
        raise UserError(f"base: {base}: {CONFIG} describes no network: {error}") from None
    if config.model_type not in MODEL_FOR_IMAGE_CLASSIFICATION_MAPPING_NAMES:
        known = nearest(config.model_type, MODEL_FOR_IMAGE_CLASSIFICATION_MAPPING_NAMES)
        raise UserError(f"base: {base}: a {config.model_type!r} classifies no images.{known}")
    values = json.loads(config.to_json_string(use_diff=False))
    for of_the_moment in ("_name_or_path", "transformers_version"):
        values.pop(of_the_moment, None)
    return values


def _processor(base: str, folder: Path) -> dict[str, Any]:
    from transformers import AutoImageProcessor

    try:
        processor = AutoImageProcessor.from_pretrained(folder, local_files_only=True)
    except (OSError, ValueError) as error:
        raise UserError(f"base: {base}: {PROCESSOR} describes no image processor: {error}") from None
    return json.loads(processor.to_json_string())
