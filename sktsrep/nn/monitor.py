"""A monitor of collapse."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

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

    moments: Tensor

    def __init__(self, n_features: int) -> None:
        super().__init__()
        # One row more than features: it holds their sums, and the count in the corner.
        # Small spreads around large means cancel in single precision.
        moments = torch.zeros(n_features + 1, n_features + 1, dtype=torch.float64)
        self.register_buffer("moments", moments, persistent=False)

    @torch.no_grad()
    def forward(self, h: Tensor) -> None:
        """Add the embeddings (batch, n_features) of a training step."""
        if self.training:
            h = F.pad(h.detach().double(), (0, 1), value=1.0)
            with torch.autocast(h.device.type, enabled=False):
                self.moments += h.T @ h

    def epoch_metrics(self) -> dict[str, Tensor]:
        """Compute the figures since the last call, and start anew."""
        moments = self.moments / self.moments[-1, -1].clamp(min=1)
        mean = moments[-1, :-1]
        covariance = moments[:-1, :-1] - torch.outer(mean, mean)
        self.moments = torch.zeros_like(self.moments)
        return {
            "effective_rank": effective_rank(covariance),
            "feature_std": covariance.diagonal().clamp(min=0).sqrt().mean(),
        }
