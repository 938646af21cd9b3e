"""What a base of transformers is: a folder with an RT-DETR's settings and weights, described in plain JSON."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from data.errors import UserError
from models.settings import Settings

CONFIG, PROCESSOR = "config.json", "preprocessor_config.json"
KIND = "rt_detr"


class Pretrained(Settings):
    """A base without its weights.

    Attributes:
        config: the network's ``config.json``, those values included that the file leaves to their defaults.
        mean, std: of each channel in [0, 1], by which pictures are standardised.
    """

    config: dict[str, Any]
    mean: tuple[float, float, float] = (0.0, 0.0, 0.0)
    std: tuple[float, float, float] = (1.0, 1.0, 1.0)


def read(base: str) -> Pretrained | None:
    """Describe the base that lies in a folder; None of one that is no folder of transformers.

    Raises:
        UserError: it holds another network than an RT-DETR.
    """
    file = Path(base) / CONFIG
    if not file.is_file():
        return None
    from transformers.models.rt_detr import RTDetrConfig  # seconds that only such a base pays

    told = _json(file)
    if (kind := told.get("model_type")) != KIND:
        raise UserError(
            f"base: {file}: model_type: {kind!r} is no network of this family. It can be {KIND!r}."
        )
    try:
        values = json.loads(RTDetrConfig.from_dict(told).to_json_string(use_diff=False))
    except (TypeError, ValueError) as error:
        raise UserError(f"base: {file}: describes no {KIND!r}: {error}") from None
    if values["learn_initial_query"]:
        raise UserError(f"base: {file}: learn_initial_query: true; queries that are learned are not read.")
    for of_the_moment in ("_name_or_path", "transformers_version"):
        values.pop(of_the_moment, None)
    processor = _json(file.with_name(PROCESSOR)) if file.with_name(PROCESSOR).is_file() else {}
    if not processor.get("do_normalize"):
        return Pretrained(config=values)
    return Pretrained(config=values, mean=processor["image_mean"], std=processor["image_std"])


def _json(file: Path) -> dict[str, Any]:
    try:
        return json.loads(file.read_text())
    except ValueError as error:
        raise UserError(f"base: {file}: is no JSON: {error}") from None
