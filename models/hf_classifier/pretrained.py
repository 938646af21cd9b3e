"""What a base is: a folder as transformers writes it, here or in the cache of the hub, described in plain JSON."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from data.errors import UserError, nearest
from models.settings import Settings

CONFIG, PROCESSOR = "config.json", "preprocessor_config.json"
FILES = ["*.json", "*.safetensors"]
"""What is brought from the hub. No pickled weights: they can run code."""


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
    weights = sorted(folder.glob("*.safetensors"))
    if not weights:
        raise UserError(f"base: {base}: no weights there (*.safetensors; pickled ones are not read).")
    digest = hashlib.sha256()
    for file in weights:
        digest.update(hashlib.sha256(file.read_bytes()).digest())
    return Pretrained(
        config=_config(base, folder), processor=_processor(base, folder), sha256=digest.hexdigest()
    )


def locate(base: str) -> Path:
    """Return the folder of a base; a name is looked up in the hub's cache, and on the hub unless offline.

    Raises:
        UserError: there is no such folder, and no such name where it can be looked up.
    """
    if Path(base).expanduser().is_dir():
        return Path(base).expanduser()
    from huggingface_hub import constants, errors, snapshot_download

    cached = [folder.name.split("--", 1)[1].replace("--", "/") for folder in _cache(constants)]
    valid = nearest(base, ["own", "scratch", "a folder", *cached])
    name, _, revision = base.partition("@")
    try:
        return Path(snapshot_download(name, revision=revision or None, allow_patterns=FILES))
    except errors.HFValidationError:
        raise UserError(f"base: {base}: no such folder, and no name on the hub.{valid}") from None
    except (errors.HfHubHTTPError, errors.LocalEntryNotFoundError, OSError) as error:
        offline = constants.HF_HUB_OFFLINE or isinstance(error, errors.LocalEntryNotFoundError)
        why = "not in the cache, and the hub is offline (HF_HUB_OFFLINE)" if offline else "not on the hub"
        raise UserError(f"base: {base}: no such folder; as a name it is {why}.{valid}") from None


def _cache(constants: Any) -> list[Path]:
    return sorted(Path(constants.HF_HUB_CACHE).glob("models--*"))


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
