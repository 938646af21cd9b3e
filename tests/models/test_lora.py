"""LoRA: how much is trained, what stays, the formula, what is exported, and the folder that peft reads."""

from __future__ import annotations

import json
import re

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file
from torch import nn

from data.captions import FIRST, PADDING
from models import checkpoint, lora, text_to_image
from models.blocks.attention import MultiHeadAttention
from models.lora.adapters import AdaptedEmbedding, AdaptedLinear, adapt, merge
from models.lora.network import LEARNED
from tests.models import tiny


@pytest.fixture(scope="module")
def base(digit_negatives):
    return checkpoint.load(digit_negatives.folder / "base")


@pytest.fixture(scope="module")
def trained(digit_negatives):
    return tiny.fitted("lora", digit_negatives)[0].eval()


@pytest.fixture
def fresh(digit_negatives):
    return tiny.begin("lora", tiny.settings("lora"), digit_negatives).eval()


def is_learned(name: str) -> bool:
    return any(part in LEARNED for part in name.split("."))


def scattered(module: nn.Module, seed: int) -> nn.Module:
    """Give all that is learned beside a layer of ``module`` random weights, in float64."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, parameter in module.double().named_parameters():
            if is_learned(name):
                parameter.copy_(torch.randn(parameter.shape, generator=generator, dtype=torch.float64))
    return module


def asked(model, prompt: torch.Tensor) -> np.ndarray:
    with torch.no_grad():
        return text_to_image.graph(model)(prompt, torch.tensor([5])).numpy()


@pytest.mark.parametrize("preset", ["quick", "full"])
def test_at_most_two_of_a_hundred_parameters_are_trained(preset, digit_negatives):
    with torch.device("meta"):
        model = lora.build(getattr(lora.Config, preset)(), digit_negatives.spec)
    learned = {name: value.numel() for name, value in model.named_parameters() if is_learned(name)}
    assert 0 < sum(learned.values()) <= 0.02 * sum(value.numel() for value in model.parameters())
    adapted = [layer for layer in model.unet.modules() if isinstance(layer, MultiHeadAttention)]
    # Queries, keys and values, outputs: each has an A and a B; and there are the new words' vectors.
    assert len(learned) == 6 * len(adapted) + 1


def test_before_training_it_is_the_base_exactly(fresh, base, digit_negatives):
    ours, theirs = digit_negatives.spec.words, base.spec.words
    known = [word for word in ours if word in theirs][:4]
    images = []
    for model, words in ((fresh, ours), (base.model.eval(), theirs)):
        tokens = [FIRST + words.index(word) for word in known]
        padding = [PADDING] * (model.spec.longest_caption - len(tokens))
        images.append(asked(model, torch.tensor([tokens + padding] * 3)))
    np.testing.assert_array_equal(*images)


def test_all_but_the_adapters_and_the_new_words_stays_bit_for_bit(trained, fresh, base, digit_negatives):
    before, after, weights = fresh.state_dict(), trained.state_dict(), base.model.state_dict()
    for name in set(weights) - {"text.embed.weight", "text.places"}:  # those depend on the data's words
        assert torch.equal(after[name], weights[name]), name
    assert torch.equal(after["text.places"][:, :4], weights["text.places"])
    assert all(after[name].any() for name in before if "lora_B" in name)
    words, vectors = digit_negatives.spec.words, trained.text.embed.merged().weight
    for row, word in enumerate(words, FIRST):
        if word in base.spec.words:
            same = weights["text.embed.weight"][FIRST + base.spec.words.index(word)]
            assert torch.equal(vectors[row], same), word
    new = FIRST + words.index("inverted")
    assert not torch.equal(vectors[new], trained.text.embed.weight[new])
    assert trained.text.embed.is_new.flatten().nonzero().flatten().tolist() == [new]


@settings(deadline=None, max_examples=30)
@given(
    sizes=st.tuples(*[st.integers(1, 9)] * 3),
    alpha=st.floats(0.1, 64),
    bias=st.booleans(),
    seed=st.integers(0, 2**31),
)
def test_an_adapted_layer_is_the_formula_merged_or_not(sizes, alpha, bias, seed):
    width_in, width, rank = sizes
    layer = scattered(AdaptedLinear(nn.Linear(width_in, width, bias=bias), rank, alpha), seed)
    x = torch.randn(4, width_in, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    weights = {name: value.detach().numpy() for name, value in layer.named_parameters()}
    down, up = weights["lora_A.weight"], weights["lora_B.weight"]
    right = np.stack(
        [
            weights["weight"] @ row + weights.get("bias", 0) + alpha / rank * (up @ (down @ row))
            for row in x.numpy()
        ]
    )
    np.testing.assert_allclose(layer(x).detach().numpy(), right, rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(layer.merged()(x).detach().numpy(), right, rtol=1e-9, atol=1e-9)


@settings(deadline=None, max_examples=10)
@given(rank=st.integers(1, 8), alpha=st.floats(0.5, 16), seed=st.integers(0, 2**31))
def test_merged_attention_and_words_answer_as_unmerged_ones(rank, alpha, seed):
    module = nn.ModuleDict(
        {"look": MultiHeadAttention(8, 2, 12), "words": AdaptedEmbedding(nn.Embedding(5, 12))}
    )
    adapt(module["look"], rank, alpha)
    module["words"].is_new[3] = True
    scattered(module, seed)
    x = torch.randn(2, 6, 8, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))
    tokens = torch.tensor([[0, 3, 2], [3, 3, 4]])
    with torch.no_grad():
        unmerged = module["look"](x, module["words"](tokens))
        merge(module)
        torch.testing.assert_close(module["look"](x, module["words"](tokens)), unmerged, rtol=1e-6, atol=1e-6)


def test_what_is_exported_has_the_base_s_weights_and_no_trace_of_adapters(trained, base):
    exported = lora.graph(trained)
    names = [set(dict(made.named_parameters())) for made in (exported, text_to_image.graph(base.model))]
    assert names[0] == names[1]
    assert any(
        isinstance(layer, AdaptedLinear) for layer in trained.modules()
    )  # the model itself is left alone
    assert not any(isinstance(layer, AdaptedLinear | AdaptedEmbedding) for layer in exported.modules())


def test_the_folder_has_the_adapters_by_peft_s_names_and_the_new_words(trained, tmp_path):
    lora.save_pretrained(trained, tmp_path)
    weights = load_file(tmp_path / "adapter_model.safetensors")
    own = trained.state_dict()
    assert set(weights) == {f"base_model.model.{name}" for name in own if ".lora_" in name}
    for name, value in weights.items():
        assert torch.equal(value, own[name.removeprefix("base_model.model.")])
    told = json.loads((tmp_path / "adapter_config.json").read_text())
    assert (told["peft_type"], told["r"], told["lora_alpha"]) == ("LORA", 6, 12.0)
    # peft adapts each linear layer whose whole name matches.
    linear = [
        name
        for name, layer in trained.named_modules()
        if isinstance(layer, nn.Linear) and "lora_" not in name
    ]
    chosen = {name for name in linear if re.fullmatch(told["target_modules"], name)}
    assert chosen == {name for name in linear if f"{name}.lora_A.weight" in own}
    words = load_file(tmp_path / "learned_embeds.safetensors")
    assert list(words) == ["inverted"]
    row = FIRST + trained.spec.words.index("inverted")
    assert torch.equal(words["inverted"], trained.text.embed.merged().weight[row])
