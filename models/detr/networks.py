"""The networks of this family: its own, and RT-DETR where it starts from a folder of transformers.

Both give :class:`models.detr.network.Answers` of pictures, which loss, validation and export read.
"""

from __future__ import annotations

from data.prepared import DataSpec
from models.detr.config import Config
from models.detr.network import Detr
from models.detr.rt_detr import RtDetr


def build(config: Config, spec: DataSpec) -> Detr | RtDetr:
    """Return the network with random weights."""
    return Detr(config, spec) if config.pretrained is None else RtDetr(config, spec)
