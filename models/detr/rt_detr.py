"""RT-DETR (Zhao et al. 2024, arXiv:2304.08069) as transformers has it, with weights that others have trained.

It stands in the place of the family's own network: the same set loss teaches it, and it answers in the same way.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from data.errors import UserError
from data.prepared import DataSpec
from models.blocks import weight_files
from models.blocks.fine_tuning import Transferable, fit_in, is_part
from models.detr.config import Config
from models.detr.network import Answers

STRIDE = 32
"""Pixels of the coarsest cell's sides: sides that it does not divide are filled up on the right and below."""


class RtDetr(Transferable):
    """Pictures [N, C, H, W] in [0, 1], C of 1 or 3, to a class and a box of each query.

    Attributes:
        base: transformers' ``RTDetrModel``, with its decoder's last layers. It reads as many pixels as the data has.
    """

    def __init__(self, config: Config, spec: DataSpec) -> None:
        super().__init__()
        self.config, self.num_classes, self.fit = config, spec.num_classes, spec.fit
        for name in ("mean", "std"):
            values = torch.tensor(getattr(config.pretrained, name)).reshape(1, 3, 1, 1)
            self.register_buffer(name, values, persistent=False)
        padded = [-(-side // STRIDE) * STRIDE for side in (spec.height, spec.width)]
        self._beyond = 0, padded[1] - spec.width, 0, padded[0] - spec.height
        grown = [whole / side for whole, side in zip(padded, (spec.height, spec.width), strict=True)]
        self.register_buffer("grown", torch.tensor([*grown[::-1], *grown[::-1]]), persistent=False)
        theirs = config.pretrained.config
        cells = sum(padded[0] // stride * (padded[1] // stride) for stride in theirs["feat_strides"])
        labels = {index: str(index) for index in range(spec.num_classes)}
        # Denoising is by the loss of transformers, which is not ours; of few pixels fewer cells become queries.
        changed = {"id2label": labels, "label2id": {name: index for index, name in labels.items()}}
        changed |= {"num_denoising": 0, "num_queries": min(theirs["num_queries"], cells)}
        changed |= {"anchor_image_size": None, "eval_size": None}
        self.base = _network(theirs | changed).model

    def layers(self, x_bchw: Tensor) -> tuple[Answers, Answers]:
        """Return what the decoder's layers answer, query by query in the order of the cells, and what the encoder does.

        It is what ``RTDetrModel.forward`` computes, but that takes the most probable cell first: two that are as likely
        would change places by a rounding. It also counts the pictures by ``len``, which a traced graph would keep.
        """
        base = self.base
        sources = self._read(
            functional.pad((x_bchw - self.mean) / self.std, self._beyond).expand(-1, 3, -1, -1)
        )
        grid = tuple((source.shape[2], source.shape[3]) for source in sources)
        memory = torch.cat([source.flatten(2).transpose(1, 2) for source in sources], dim=1)
        anchors, is_inside = base.generate_anchors(grid, device=memory.device, dtype=memory.dtype)
        cells = base.enc_output(is_inside.to(memory.dtype) * memory)
        logits, moved = base.enc_score_head(cells), base.enc_bbox_head(cells) + anchors
        places = (
            logits.amax(dim=-1).topk(base.config.num_queries, dim=1).indices.sort(dim=1).values[..., None]
        )
        logits, moved, cells = (
            x.gather(1, places.expand(-1, -1, x.shape[-1])) for x in (logits, moved, cells)
        )
        sides = torch.tensor(grid, device=memory.device)
        decoded = base.decoder(
            inputs_embeds=cells.detach(),
            encoder_hidden_states=memory,
            reference_points=moved.detach(),
            spatial_shapes=sides,
            spatial_shapes_list=grid,
            level_start_index=torch.cat([sides.new_zeros(1), sides.prod(1).cumsum(0)[:-1]]),
        )
        found = decoded.intermediate_reference_points.transpose(0, 1) * self.grown
        encoded = Answers(logits[None], moved.sigmoid()[None] * self.grown)
        return Answers(decoded.intermediate_logits.transpose(0, 1), found), encoded

    def _read(self, x_bchw: Tensor) -> list[Tensor]:
        """Return a map for each level that the decoder looks at, the finest first."""
        base = self.base
        features = base.backbone(x_bchw, torch.ones_like(x_bchw[:, 0]))
        levels = [
            project(of_level)
            for project, (of_level, _) in zip(base.encoder_input_proj, features, strict=True)
        ]
        encoded = list(base.encoder(levels).last_hidden_state)
        encoded += encoded[-1:] * (len(base.decoder_input_proj) - len(encoded))
        return [project(of_level) for project, of_level in zip(base.decoder_input_proj, encoded, strict=True)]

    def forward(self, x_bchw: Tensor) -> Answers:
        """Return what the last layer answers, without the axis of layers: [N, Q, K] and centre boxes [N, Q, 4]."""
        decoded, _ = self.layers(x_bchw)
        return Answers(decoded.logits[-1], decoded.boxes[-1])

    def is_kept(self, name: str) -> bool:
        """Say whether ``name`` is of the convolutional backbone."""
        return is_part(name, ("base.backbone",))

    def take_base(self) -> None:
        """Put the weights of the folder ``config.base`` into the network, but what tells their classes apart.

        Raises:
            UserError: the weights are not those that the folder's ``config.json`` describes.
        """
        folder = Path(self.config.base)
        files = weight_files.in_folder(folder)
        where = f"base: {files[0] if files else folder}"
        if not files:
            raise UserError(f"{where}: no weights there (*.safetensors; pickled ones are not read).")
        fit_in(
            self,
            {f"base.{name}": value for name, value in _weights(folder, where).items()},
            where,
            *self.config.NEW,
        )


def _network(values: dict[str, Any]) -> Any:
    from transformers.models.rt_detr import RTDetrConfig, RTDetrForObjectDetection

    return RTDetrForObjectDetection(RTDetrConfig.from_dict(values))


def _weights(folder: Path, where: str) -> dict[str, Tensor]:
    """Return the weights of the whole network in ``folder``, by the names that transformers gives them today."""
    from safetensors import SafetensorError
    from transformers.models.rt_detr import RTDetrForObjectDetection
    from transformers.utils import logging

    logging.disable_progress_bar()
    level = logging.get_verbosity()
    logging.set_verbosity_error()  # what is missing is told below
    try:
        found, told = RTDetrForObjectDetection.from_pretrained(
            folder,
            local_files_only=True,
            use_safetensors=True,
            dtype=torch.float32,
            ignore_mismatched_sizes=True,
            output_loading_info=True,
        )
    except (OSError, SafetensorError) as error:
        raise UserError(f"{where}: cannot be read as weights: {error}") from None
    finally:
        logging.set_verbosity(level)
    wrong = [f"has no {name!r}" for name in sorted(told["missing_keys"])]
    wrong += [
        f"has {name!r} of shape {tuple(theirs)}, and the network of {tuple(ours)}"
        for name, theirs, ours in sorted(told["mismatched_keys"])
    ]
    if wrong:
        raise UserError(
            f"{where}: holds the weights of another architecture than config.json beside it: it {wrong[0]};"
            f" {len(wrong)} such differences. Take the config.json that came with them."
        )
    return found.model.state_dict()
