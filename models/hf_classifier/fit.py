"""Training: the own base learns half of the classes, then any base is fine-tuned on few labels of all."""

from __future__ import annotations

from functools import partial

from torch import Tensor
from torch.nn import functional

from data.errors import UserError
from data.prepared import PreparedData
from models.blocks import classify, loop, shots
from models.hf_classifier import folder
from models.hf_classifier.config import OWN, Config
from models.hf_classifier.network import FineTuned
from models.run import Run

SOURCE, FINE = "source", "fine-tuning"
"""The phases of a run."""


def fit(model: FineTuned, data: PreparedData, run: Run) -> None:
    """Bring the base's weights and train ``model`` in place.

    Raises:
        UserError: the base does not fit the data set, or its loss became NaN.
    """
    config = model.config
    if not run.resumes(FINE):
        if config.pretrained is not None:
            folder.load_weights(model, data.spec.classes)
            folder.check_processor(model, data.train.images[:8])
        elif config.base == OWN:
            run.phase = SOURCE
            model.base.base_model.load_state_dict(_source(config, data, run))
    run.phase = FINE
    if (part := model.frozen()) is not None:
        part.requires_grad_(False)
    _train(model, shots.few(data, config.shots, run.seed), run, config)


def _source(config: Config, data: PreparedData, run: Run) -> dict[str, Tensor]:
    """Train a base of the same shape on every second class and return its backbone's weights."""
    classes = shots.source_classes(data.spec.num_classes)
    if len(classes) < 2:
        raise UserError(
            f"base: {OWN!r} first learns every second class, but {data.spec.name!r} has {data.spec.num_classes}."
            " Use 'scratch' or name a base."
        )
    unfrozen = config.model_copy(update={"freeze": "none"})
    base = FineTuned(unfrozen, data.spec, tuple(data.spec.classes[label] for label in classes))
    _train(base, shots.of_classes(data, classes), run, config.source())
    run.name_phase("source")  # another task's losses
    return base.base.base_model.state_dict()


def _train(model: FineTuned, data: PreparedData | shots.Part, run: Run, recipe: loop.Recipe) -> None:
    config = model.config
    criterion = partial(functional.cross_entropy, label_smoothing=config.label_smoothing)
    classify.train(model, data, run, config, criterion, recipe)
