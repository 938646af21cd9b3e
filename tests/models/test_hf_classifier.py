"""Fine-tuning: transformers reads what we write and answers the same, and a base helps where labels are few."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch
from PIL import Image

import models
from components import onnx_export
from components.tasks import classification
from data.errors import UserError
from data.prepared import PreparedData
from models import checkpoint
from models.blocks import classify
from models.blocks.batches import Batches
from models.blocks.pixels import unit
from models.hf_classifier import shots
from models.hf_classifier.processor import Processor
from models.run import Run
from models.settings import configure
from tests.models import tiny

FAMILY = "hf_classifier"
SHORT = {"source_epochs": 2, "epochs": 1, "least_steps": 2, "width": 16, "depth": 1}
NAMES = tuple("0123456789")


@pytest.fixture(scope="module", autouse=True)
def offline():
    """What a machine without a network has."""
    from huggingface_hub import constants

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(constants, "HF_HUB_OFFLINE", True)
        yield


def train(data: PreparedData, preset: str = "quick", seed: int = 0, **overrides: object):
    family = models.family(FAMILY)
    config = configure(family.Config, preset, overrides, "params.yaml: models.m.overrides")
    with Run("fine", seed=seed) as run:
        model = family.build(config, data.spec)
        family.fit(model, data, run)
    return model, run


def write_base(
    folder: Path, classes: tuple[str, ...], processor: dict | None = None, kind: str = "ViT", **config: object
) -> Path:
    """Write a small untrained base with transformers alone, as a user would bring one."""
    import transformers

    labels = {"id2label": dict(enumerate(classes)), "label2id": {name: i for i, name in enumerate(classes)}}
    sizes = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 16}
    sizes |= {"image_size": 12, "patch_size": 4}
    if kind == "ResNet":
        sizes = {"embedding_size": 8, "hidden_sizes": [8, 16], "depths": [1, 1]}
    torch.manual_seed(1)
    network = getattr(transformers, f"{kind}ForImageClassification")(
        getattr(transformers, f"{kind}Config")(**sizes | config, **labels)
    )
    network.save_pretrained(folder)
    processor = {"size": {"height": 12, "width": 12}} if processor is None else processor
    transformers.ViTImageProcessor(**processor).save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def base(tmp_path_factory) -> Path:
    """A base of other classes, on three channels and larger images than ours."""
    return write_base(tmp_path_factory.mktemp("bases") / "letters", ("a", "b", "c"))


@pytest.fixture(scope="module")
def own(digits):
    """The own base, briefly trained and fine-tuned."""
    return train(digits, **SHORT)


def files(folder: Path, data: PreparedData, count: int = 6) -> list[Path]:
    """Write test images as PNG files."""
    paths = [folder / f"{number}.png" for number in range(count)]
    for path, image in zip(paths, data.test.images, strict=False):
        Image.fromarray(image.squeeze()).save(path)
    return paths


def pipeline_scores(folder: Path, paths: list[Path], classes: tuple[str, ...]) -> np.ndarray:
    """Return float [N, K] by ``transformers.pipeline`` on image files."""
    from transformers import pipeline

    answers = pipeline("image-classification", model=str(folder), device="cpu")(
        [str(path) for path in paths], top_k=len(classes)
    )
    return np.array(
        [[{row["label"]: row["score"] for row in answer}[name] for name in classes] for answer in answers]
    )


def onnx_scores(model, images: np.ndarray, data: PreparedData) -> np.ndarray:
    """Return float [N, K] by the exported graph in ONNX Runtime."""
    inputs, outputs = classification.signature(data.spec)
    graph = models.family(FAMILY).graph(model)
    content = onnx_export.convert(graph, inputs, outputs, {"image": images[:2]})
    session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
    return session.run(None, {"image": images})[0]


def test_pipeline_reads_the_folder_and_scores_as_the_graph(own, digits, tmp_path):
    model, _ = own
    folder = tmp_path / "huggingface"
    models.family(FAMILY).save_pretrained(model, folder)
    scores = pipeline_scores(folder, files(tmp_path, digits), NAMES)
    with torch.no_grad():
        ours = models.family(FAMILY).graph(model)(torch.from_numpy(digits.test.images[:6]))
    np.testing.assert_allclose(ours.numpy(), scores, atol=1e-5)
    np.testing.assert_allclose(onnx_scores(model, digits.test.images[:6], digits), scores, atol=1e-5)


def test_a_named_base_scores_as_pipeline_after_resizing(base, digits, tmp_path):
    model, _ = train(digits, base=str(base), **SHORT)
    folder = tmp_path / "huggingface"
    models.family(FAMILY).save_pretrained(model, folder)
    scores = pipeline_scores(folder, files(tmp_path, digits), NAMES)
    np.testing.assert_allclose(onnx_scores(model, digits.test.images[:6], digits), scores, atol=1e-5)


def test_the_folder_is_the_same_again_and_names_no_place(own, tmp_path):
    model, _ = own
    contents = []
    for name in ("once", "again"):
        models.family(FAMILY).save_pretrained(model, tmp_path / name)
        contents.append({file.name: file.read_bytes() for file in (tmp_path / name).iterdir()})
    assert contents[0] == contents[1]
    assert set(contents[0]) == {"config.json", "model.safetensors", "preprocessor_config.json"}
    config = json.loads(contents[0]["config.json"])
    assert config["id2label"] == {str(number): name for number, name in enumerate(NAMES)}
    assert config["label2id"] == {name: number for number, name in enumerate(NAMES)}
    assert not {"_name_or_path", "transformers_version"} & set(config)


PROCESSORS = [
    {"size": {"height": 12, "width": 16}},
    {"size": {"height": 5, "width": 4}},
    {"size": {"height": 8, "width": 8}, "image_mean": [0.1, 0.2, 0.3], "image_std": [0.5, 0.6, 0.7]},
    {"size": {"height": 19, "width": 13}, "resample": 3},
    {"size": {"shortest_edge": 20}, "do_center_crop": True, "crop_size": {"height": 15, "width": 16}},
    {"size": {"height": 12, "width": 12}, "do_normalize": False},
    {"do_resize": False, "do_rescale": False},
]


@pytest.mark.parametrize("settings", PROCESSORS)
def test_the_graph_processes_as_the_image_processor(settings, digits):
    from transformers import ViTImageProcessor

    processor = ViTImageProcessor(**settings)
    colour = np.random.default_rng(0).integers(0, 256, (8, 8, 8, 3), dtype=np.uint8)
    colour[:4] = np.repeat(digits.test.images[:4], 3, axis=-1)
    theirs = processor(list(colour), return_tensors="pt")["pixel_values"]
    spec = type(digits.spec)(**digits.spec.to_json() | {"channels": 3})
    ours = Processor(json.loads(processor.to_json_string()), spec, 3)(unit(torch.from_numpy(colour)))
    assert ours.shape == theirs.shape
    torch.testing.assert_close(ours, theirs, atol=1e-5, rtol=1e-5)


def test_a_checkpoint_needs_no_base_folder(digits, tmp_path):
    folder = write_base(tmp_path / "base", ("a", "b"))
    overrides = {"base": str(folder), **SHORT}
    model, run = train(digits, **overrides)
    (tmp_path / "saved").mkdir()
    tiny.save(tmp_path / "saved", FAMILY, model.config, digits, model, run)
    folder.rename(tmp_path / "elsewhere")
    loaded = checkpoint.load(tmp_path / "saved")
    images = torch.from_numpy(digits.test.images[:5])
    with torch.no_grad():
        assert torch.equal(loaded.family.graph(loaded.model)(images), loaded.family.graph(model)(images))


def test_the_weights_of_a_base_are_where_training_starts(base, digits):
    from transformers import AutoModelForImageClassification

    model, _ = train(digits, base=str(base), freeze="backbone", **SHORT)
    theirs = AutoModelForImageClassification.from_pretrained(base).base_model.state_dict()
    ours = model.base.base_model.state_dict()
    assert all(torch.equal(ours[key], value) for key, value in theirs.items())


@pytest.mark.parametrize("freeze", ["none", "embeddings", "backbone"])
def test_only_what_is_not_frozen_changes(freeze, base, digits):
    settings = SHORT | {"base": str(base), "freeze": freeze}
    start, _ = train(digits, **settings | {"learning_rate": 1e-12, "ema_decay": 0.0})
    end, _ = train(digits, **settings)
    ends = dict(end.named_parameters())
    moved = {
        key for key, value in start.named_parameters() if not torch.allclose(value, ends[key], atol=1e-7)
    }
    parts = {"embeddings" if "embeddings" in key else key.split(".")[1] for key in moved}
    assert (
        parts
        == {
            "none": {"embeddings", "vit", "classifier"},
            "embeddings": {"vit", "classifier"},
            "backbone": {"classifier"},
        }[freeze]
    )


def test_statistics_of_a_frozen_backbone_stay(digits, tmp_path):
    folder = write_base(
        tmp_path / "resnet", ("a", "b"), processor={"size": {"height": 32, "width": 32}}, kind="ResNet"
    )
    from transformers import AutoModelForImageClassification

    model, _ = train(digits, base=str(folder), freeze="backbone", **SHORT)
    theirs = AutoModelForImageClassification.from_pretrained(folder).base_model.state_dict()
    assert all(torch.equal(model.base.base_model.state_dict()[key], value) for key, value in theirs.items())


def test_few_draws_so_many_of_each_class(digits):
    few = shots.few(digits, 3, seed=5)
    for split, whole in ((few.train, digits.train), (few.validation, digits.validation)):
        assert np.bincount(split.labels).tolist() == [3] * 10
        place = {name: number for number, name in enumerate(whole.ids)}
        index = [place[name] for name in split.ids]
        assert np.array_equal(split.images, whole.images[index])
        assert np.array_equal(split.labels, whole.labels[index])
    assert shots.few(digits, 3, seed=6).train.ids != few.train.ids
    assert shots.few(digits, 3, seed=5).train.ids == few.train.ids
    assert shots.few(digits, 0, seed=5) is digits


def test_the_source_holds_only_its_classes(digits):
    classes = shots.source_classes(10)
    part = shots.of_classes(digits, classes)
    assert list(classes) == [0, 2, 4, 6, 8]
    assert len(part.train) == sum(digits.train.labels % 2 == 0)
    place = {name: number for number, name in enumerate(digits.train.ids)}
    index = [place[name] for name in part.train.ids]
    assert np.array_equal(2 * part.train.labels, digits.train.labels[index])


def test_killed_in_the_fine_tuning_goes_on_there(digits, tmp_path):
    class Killed(Exception):
        pass

    config = configure(models.family(FAMILY).Config, "quick", SHORT | {"least_steps": 12}, "tests")

    def fit(resume_file: Path, stop_at: tuple[str, int] | None):
        saves = []
        with Run("fine", resume_file=resume_file, save_seconds=0.0, save_share=1.0) as run:
            save = run.save

            def saved(state):
                save(state)
                saves.append((run.phase, state["step"]))
                if saves[-1] == stop_at:
                    raise Killed

            run.save, run.save_due = saved, lambda: True
            model = models.family(FAMILY).build(config, digits.spec)
            try:
                models.family(FAMILY).fit(model, digits, run)
            except Killed:
                return None
        return model.state_dict(), run.outcome.last, run.history, saves

    weights, last, history, saves = fit(tmp_path / "whole", None)
    assert {phase for phase, _ in saves} == {"source", "fine-tuning"}
    for stop_at in (("source", 5), ("fine-tuning", 1), ("fine-tuning", 9)):
        point = tmp_path / "-".join(map(str, stop_at))
        assert fit(point, stop_at) is None
        again = fit(point, None)
        assert again[3][0] == (stop_at[0], stop_at[1] + 1), "it did not go on where it was killed"
        assert again[2] == history
        for ours, whole in ((again[0], weights), (again[1], last)):
            assert all(torch.equal(ours[key], value) for key, value in whole.items())


def refuse(match: str, data: PreparedData, **overrides: object) -> None:
    with pytest.raises(UserError, match=match):
        train(data, **SHORT | overrides)


def test_a_folder_that_is_none_is_told(digits, base, tmp_path):
    (tmp_path / "train" / "huggingface").mkdir(parents=True)
    (tmp_path / "train" / "checkpoint.json").write_text("{}")
    (tmp_path / "train" / "huggingface" / "config.json").write_text("{}")
    refuse(
        r"base: .*/train: no config.json there.* Did you mean '.*huggingface'",
        digits,
        base=str(tmp_path / "train"),
    )
    weightless = tmp_path / "weightless"
    weightless.mkdir()
    for name in ("config.json", "preprocessor_config.json"):
        (weightless / name).write_bytes((base / name).read_bytes())
    refuse(r"base: .*weightless: no weights there \(\*\.safetensors", digits, base=str(weightless))
    (weightless / "preprocessor_config.json").unlink()
    refuse("weightless: no preprocessor_config.json there", digits, base=str(weightless))


def test_a_model_of_text_is_refused(digits, base, tmp_path):
    for file in base.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    (tmp_path / "config.json").write_text('{"model_type": "bert"}')
    refuse("a 'bert' classifies no images.*It can be: .*vit", digits, base=str(tmp_path))


def test_a_name_is_looked_up_in_the_cache_only_when_offline(digits):
    refuse("base: someone/vit-tiny: .*HF_HUB_OFFLINE.*own", digits, base="someone/vit-tiny")
    refuse("base: owns: .*Did you mean 'own'", digits, base="owns")
    refuse("base: /no/such/folder: no such folder, and no name on the hub", digits, base="/no/such/folder")


def test_a_cached_hub_name_is_a_folder(digits, base, tmp_path, monkeypatch):
    from huggingface_hub import constants

    repository = tmp_path / "models--someone--letters"
    snapshot = repository / "snapshots" / ("a" * 40)
    snapshot.mkdir(parents=True)
    (repository / "refs").mkdir()
    (repository / "refs" / "main").write_text("a" * 40)
    for file in base.iterdir():
        (snapshot / file.name).write_bytes(file.read_bytes())
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    model, _ = train(digits, base="someone/letters", **SHORT)
    assert model.config.pretrained.config["model_type"] == "vit"
    refuse("Did you mean 'someone/letters'", digits, base="someone/leters")


def test_classes_that_do_not_match_are_told(digits, base, tmp_path):
    refuse("head: 'keep' needs the classes of the data set.* no '0'", digits, base=str(base), head="keep")
    turned = write_base(tmp_path / "turned", NAMES[::-1])
    refuse("its order differs", digits, base=str(turned), head="keep")
    refuse("head: 'keep' needs a folder or a hub name as base, not 'own'", digits, head="keep")


def test_a_kept_head_is_the_bases(digits, tmp_path):
    from transformers import AutoModelForImageClassification

    folder = write_base(tmp_path / "digits", NAMES)
    still = SHORT | {"learning_rate": 1e-12, "ema_decay": 0.0}
    theirs = AutoModelForImageClassification.from_pretrained(folder).classifier.weight
    kept, _ = train(digits, base=str(folder), head="keep", **still)
    fresh, _ = train(digits, base=str(folder), **still)
    torch.testing.assert_close(kept.base.classifier.weight, theirs)
    assert not torch.allclose(fresh.base.classifier.weight, theirs, atol=1e-3)


def test_other_channels_are_told(digits, tmp_path):
    grey = write_base(
        tmp_path / "grey",
        NAMES,
        processor={"size": {"height": 12, "width": 12}, "image_mean": [0.5], "image_std": [0.5]},
        num_channels=1,
    )
    config = configure(models.family(FAMILY).Config, "quick", {"base": str(grey)}, "tests")
    colour = type(digits.spec)(
        **digits.spec.to_json() | {"channels": 3, "mean": (0.5,) * 3, "std": (0.5,) * 3}
    )
    with pytest.raises(UserError, match="base: it reads images of 1 channel, those of 'digits' have 3"):
        models.family(FAMILY).build(config, colour)


def test_a_processor_that_does_more_is_refused(digits, base, tmp_path):
    for file in base.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    settings = json.loads((base / "preprocessor_config.json").read_text())
    settings |= {"do_pad": True, "pad_size": {"height": 20, "width": 20}}
    (tmp_path / "preprocessor_config.json").write_text(json.dumps(settings))
    refuse("its image processor .* does more than resize", digits, base=str(tmp_path))


def test_images_of_another_size_than_the_network_reads_are_told(digits, tmp_path):
    folder = write_base(tmp_path / "small", NAMES, processor={"size": {"height": 8, "width": 8}})
    refuse("it cannot read what its image processor gives", digits, base=str(folder))


def test_half_of_two_classes_is_too_few(digits):
    spec = type(digits.spec)(**digits.spec.to_json() | {"classes": ("0", "1")})
    config = configure(models.family(FAMILY).Config, "quick", SHORT, "tests")
    model = models.family(FAMILY).build(config, spec)
    two = type("Two", (), {"spec": spec, "train": digits.train, "validation": digits.validation})
    with Run("fine") as run, pytest.raises(UserError, match=r"base: 'own' first learns.* Use 'scratch'"):
        models.family(FAMILY).fit(model, two, run)


def test_importing_the_family_imports_no_transformers():
    script = "import models, sys; models.family('hf_classifier'); print('transformers' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"


@pytest.mark.slow
def test_a_base_beats_the_same_model_from_scratch_at_20_labels(tmp_path):
    data = tiny.prepare(tmp_path / "digits", (1257, 270, 270))

    def accuracy(**settings: object) -> float:
        models_of_seeds = (train(data, seed=seed, **settings)[0] for seed in range(2))
        held_out = Batches(data.validation, torch.device("cpu"))
        return float(np.mean([classify.validate(model, held_out)["accuracy"] for model in models_of_seeds]))

    assert accuracy(source_epochs=30) > accuracy(base="scratch") + 0.02
