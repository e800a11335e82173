"""What stands in for torch functions that a circuit needs in another form: dropout, attention, a loss.

Dropout draws nothing: it takes the next elements of a mask that is an input of the step, committed with the
batch. Attention and the binary cross-entropy are written out, because torch hands them to fused kernels.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from math import prod
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from fedproof.errors import CallerError
from fedproof.export.operators import OPS

#: Torch's dropouts that drop single elements, and those that drop whole channels.
_ELEMENTS = ("dropout",)
_CHANNELS = ("dropout1d", "dropout2d", "dropout3d")


class MaskTape:
    """Hands out parts of ``mask`` (B, K), 1 to keep and 0 to drop, in the order of the calls.

    Without a mask it keeps everything, and counts: ``used`` is then the K that a mask needs.
    """

    def __init__(self, batch: int, mask: Tensor | None = None) -> None:
        self.batch, self.mask, self.used = batch, mask, 0

    def take(self, shape: tuple[int, ...]) -> Tensor | None:
        """Return the next part as ``shape``, whose first axis is the batch."""
        if not shape or shape[0] != self.batch:
            raise CallerError(
                f"dropout of a tensor of shape {shape} in a batch of {self.batch}",
                hint="its first axis must be the batch, so that each sample has its own mask",
            )
        start, self.used = self.used, self.used + prod(shape[1:])
        return None if self.mask is None else self.mask[:, start : self.used].reshape(shape)

    def dropout(self, x: Tensor, p: float, training: bool, channels: bool = False) -> Tensor:
        """``x mask / (1 - p)`` in training, else ``x``."""
        if not training or p == 0:
            return x
        shape = (*x.shape[:2], *(1 for _ in x.shape[2:])) if channels else tuple(x.shape)
        mask = self.take(shape)
        return x if mask is None else x * mask * (1 / (1 - p))


def attention(
    tape: MaskTape,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attn_mask: Tensor | None = None,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    scale: float | None = None,
    enable_gqa: bool = False,
) -> Tensor:
    """Scaled dot-product attention (..., T, d), (..., S, d), (..., S, v) to (..., T, v), written out."""
    if enable_gqa:
        raise CallerError("grouped queries in attention", hint="repeat keys and values yourself")
    scores = query @ key.transpose(-2, -1) * (query.shape[-1] ** -0.5 if scale is None else scale)
    if is_causal:
        attn_mask = torch.ones(scores.shape[-2:], dtype=torch.bool).tril()
    if attn_mask is not None and attn_mask.dtype == torch.bool:
        scores = scores.masked_fill(attn_mask.logical_not(), float("-inf"))
    elif attn_mask is not None:
        scores = scores + attn_mask
    return tape.dropout(torch.softmax(scores, -1), dropout_p, True) @ value


def binary_cross_entropy(
    input: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
    pos_weight: Tensor | None = None,
) -> Tensor:
    """``softplus(x) - x y``, whose gradient is ``sigmoid(x) - y``."""
    if size_average is not None or reduce is not None:
        raise CallerError("size_average and reduce are deprecated", hint="use reduction=")
    if pos_weight is None:
        loss = functional.softplus(input) - input * target
    else:
        loss = pos_weight * target * functional.softplus(-input) + (1 - target) * functional.softplus(input)
    loss = loss if weight is None else loss * weight
    return loss.mean() if reduction == "mean" else loss.sum() if reduction == "sum" else loss


def one_hot(ids: Tensor, num_classes: int = -1) -> Tensor:
    """As torch's, in floats, and without looking at the data."""
    if num_classes < 1:
        raise CallerError("one_hot without num_classes", hint="say how many classes there are")
    encoded: Tensor = OPS.one_hot(ids, num_classes)
    return encoded


@contextmanager
def substituted(tape: MaskTape) -> Iterator[dict[Callable[..., Any], Callable[..., Any]]]:
    """Replace the functions in torch's own modules; yield the same as a table for those already imported."""

    def elements(input: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False) -> Tensor:  # noqa: ARG001
        return tape.dropout(input, p, training)

    def channels(input: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False) -> Tensor:  # noqa: ARG001
        return tape.dropout(input, p, training, channels=True)

    new: dict[str, Callable[..., Any]] = {
        **dict.fromkeys(_ELEMENTS, elements),
        **dict.fromkeys(_CHANNELS, channels),
        "scaled_dot_product_attention": partial(attention, tape),
        "binary_cross_entropy_with_logits": binary_cross_entropy,
        "one_hot": one_hot,
    }
    table: dict[Callable[..., Any], Callable[..., Any]] = {
        getattr(functional, name): function for name, function in new.items()
    }
    table[torch.dropout] = elements
    fast = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    old = {name: getattr(functional, name) for name in new}
    try:
        for name, function in new.items():
            setattr(functional, name, function)
        yield table
    finally:
        for name, function in old.items():
            setattr(functional, name, function)
        torch.backends.mha.set_fastpath_enabled(fast)
