"""Batch normalization over the batches of all ranks."""

import torch
from torch import Tensor, nn

from sktsrep._ranks import gather, n_ranks

__all__ = ["BatchNorm"]


class BatchNorm(nn.BatchNorm1d):
    """Batch normalization that is the same however many processes share a batch.

    Torch's own for several processes works on GPUs only.

    Examples
    --------
    >>> import torch
    >>> BatchNorm(3)(torch.randn(8, 3, 5)).shape
    torch.Size([8, 3, 5])
    """

    running_mean: Tensor
    running_var: Tensor
    num_batches_tracked: Tensor

    def forward(self, input: Tensor) -> Tensor:
        """Normalize (batch, features, time)."""
        if n_ranks() == 1 or not self.training:
            return super().forward(input)
        mean, variance, n_values = _moments(input.float())
        self._average(mean.detach(), variance.detach(), n_values)
        scale = (variance + self.eps).rsqrt() * self.weight
        shift = self.bias - mean * scale
        output = input * scale.unsqueeze(1) + shift.unsqueeze(1)
        return output.to(input.dtype)

    @torch.no_grad()
    def _average(self, mean: Tensor, variance: Tensor, n_values: Tensor) -> None:
        momentum = self.momentum or 0.0
        unbiased = variance * n_values / (n_values - 1)
        self.running_mean.lerp_(mean, momentum)
        self.running_var.lerp_(unbiased, momentum)
        self.num_batches_tracked += 1


def _moments(x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Mean and variance (features,) over the rows of all ranks, and their count."""
    mean, variance = x.mean(dim=(0, 2)), x.var(dim=(0, 2), correction=0)
    count = torch.full_like(mean, len(x) * x.shape[2])
    own = torch.stack([mean, variance, count]).unsqueeze(0)
    means, variances, counts = gather(own, n_ranks()).unbind(dim=1)  # (ranks, features)
    n_values = counts.sum(dim=0)
    shares = counts / n_values
    mean = (shares * means).sum(dim=0)
    variance = (shares * (variances + (means - mean).square())).sum(dim=0)
    return mean, variance, n_values
