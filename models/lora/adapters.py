"""What is learned beside a layer: a low-rank adapter of a linear one, new words of an embedding."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional


class AdaptedLinear(nn.Linear):
    """``W x + b + (alpha / rank) B A x`` (Hu et al. 2021, equation 3); the names of A and B are those of peft.

    Attributes:
        scale: alpha / rank.
    """

    def __init__(self, layer: nn.Linear, rank: int, alpha: float) -> None:
        """Adapt ``layer``, whose weights are taken over; B is zero."""
        super().__init__(layer.in_features, layer.out_features, bias=layer.bias is not None)
        self.load_state_dict(layer.state_dict())
        self.scale = alpha / rank
        self.lora_A = nn.Linear(layer.in_features, rank, bias=False)
        self.lora_B = nn.Linear(rank, layer.out_features, bias=False)
        nn.init.kaiming_uniform_(self.lora_A.weight, a=math.sqrt(5))
        nn.init.zeros_(self.lora_B.weight)

    def forward(self, x: Tensor) -> Tensor:
        """Map [..., in] to [..., out]."""
        return functional.linear(x, self.weight, self.bias) + self.scale * self.lora_B(self.lora_A(x))

    @torch.no_grad()
    def merged(self) -> nn.Linear:
        """Return the layer with the adapter in its weights, ``W + (alpha / rank) B A``."""
        layer = nn.Linear(self.in_features, self.out_features, bias=self.bias is not None)
        layer.to(self.weight)
        layer.weight.copy_(self.weight + self.scale * self.lora_B.weight @ self.lora_A.weight)
        if self.bias is not None:
            layer.bias.copy_(self.bias)
        return layer


class AdaptedEmbedding(nn.Embedding):
    """Vectors of words, of which only those of new words can change (Gal et al. 2022, "An Image is Worth One Word").

    Attributes:
        is_new: bool [V, 1], the words that may.
        change: float [V, D], what is added to their vectors; zero at first.
    """

    def __init__(self, layer: nn.Embedding) -> None:
        """Adapt ``layer``, whose vectors are taken over; no word is new yet."""
        super().__init__(layer.num_embeddings, layer.embedding_dim, _weight=layer.weight.detach().clone())
        self.register_buffer("is_new", torch.zeros(layer.num_embeddings, 1, dtype=torch.bool))
        self.change = nn.Parameter(torch.zeros_like(layer.weight))

    def forward(self, tokens: Tensor) -> Tensor:
        """Map int64 [...] to float [..., D]."""
        return functional.embedding(tokens, self.weight + self.is_new * self.change)

    @torch.no_grad()
    def merged(self) -> nn.Embedding:
        """Return the vectors as they are now."""
        return nn.Embedding.from_pretrained(self.weight + self.is_new * self.change)


def adapt(module: nn.Module, rank: int, alpha: float) -> None:
    """Put an adapter beside each linear layer in ``module``."""
    for name, layer in list(module.named_children()):
        if isinstance(layer, nn.Linear):
            setattr(module, name, AdaptedLinear(layer, rank, alpha))
        else:
            adapt(layer, rank, alpha)


def merge(module: nn.Module) -> None:
    """Put what was learned beside each layer in ``module`` into its weights."""
    for name, layer in list(module.named_children()):
        if isinstance(layer, AdaptedLinear | AdaptedEmbedding):
            setattr(module, name, layer.merged())
        else:
            merge(layer)
