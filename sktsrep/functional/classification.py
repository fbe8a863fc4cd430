"""Loss of classifiers."""

import torch.nn.functional as F
from torch import Tensor

__all__ = ["weighted_cross_entropy"]


def weighted_cross_entropy(logits: Tensor, y: Tensor, weight: Tensor) -> Tensor:
    """Compute the weighted mean of the cross-entropy, in nats.

    Parameters
    ----------
    logits : Tensor of shape (batch, n_classes)
        Scores of the classes.
    y : Tensor of shape (batch,), int64
        Class indices.
    weight : Tensor of shape (batch,)
        Weights of the samples, not negative.

    Returns
    -------
    scalar Tensor
        0 where all weights are 0.

    Examples
    --------
    >>> import torch
    >>> logits = torch.tensor([[0.0, 0.0], [9.0, 0.0]])
    >>> weighted_cross_entropy(logits, torch.tensor([0, 1]), torch.tensor([1.0, 0.0]))
    tensor(0.6931)
    """
    nats = F.cross_entropy(logits, y, reduction="none")  # (batch,)
    return (weight * nats).sum() / weight.sum().clamp(min=1e-30)
