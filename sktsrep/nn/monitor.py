"""A monitor of collapse."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sktsrep._ranks import total
from sktsrep.functional import effective_rank

__all__ = ["EmbeddingMonitor"]


class EmbeddingMonitor(nn.Module):
    """Effective rank and spread of an epoch's embeddings, which show a collapse.

    Parameters
    ----------
    n_features : int
        Features of an embedding.

    Examples
    --------
    >>> import torch
    >>> monitor = EmbeddingMonitor(2)
    >>> monitor(torch.tensor([[1., 0.], [0., 1.], [-1., 0.], [0., -1.]]))
    >>> {name: round(float(v), 4) for name, v in monitor.epoch_metrics().items()}
    {'effective_rank': 2.0, 'feature_std': 0.7071}
    """

    moments: Tensor | None

    def __init__(self, n_features: int) -> None:
        super().__init__()
        self.n_features = n_features
        self.register_buffer("moments", None, persistent=False)

    @torch.no_grad()
    def forward(self, h: Tensor) -> None:
        """Add the embeddings (batch, n_features) of a training step."""
        if self.training:
            # One column of ones: the last row of the moments holds the features' sums,
            # and its corner the count. Small spreads around large means would cancel in
            # single precision.
            h = F.pad(h.detach().double(), (0, 1), value=1.0)
            with torch.autocast(h.device.type, enabled=False):
                moments = h.T @ h  # (n_features + 1, n_features + 1)
            if self.moments is None:
                self.moments = torch.zeros_like(moments)
            self.moments += moments

    def epoch_metrics(self) -> dict[str, Tensor]:
        """Compute the figures since the last call, and start anew."""
        if self.moments is None or not self.moments[-1, -1] > 0:
            return {}
        moments = total(self.moments).cpu()  # where small matrices are faster
        moments = moments / moments[-1, -1]
        mean = moments[-1, :-1]
        covariance = moments[:-1, :-1] - torch.outer(mean, mean)
        self.moments.zero_()
        return {
            "effective_rank": effective_rank(covariance),
            "feature_std": covariance.diagonal().clamp(min=0).sqrt().mean(),
        }
