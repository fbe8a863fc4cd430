"""What the training engine asks of a network, and a monitor of collapse."""

import torch
import torch.nn.functional as F
from torch import nn

from sktsrep.functional import effective_rank
from sktsrep.nn.convolutions import ResidualBlock
from sktsrep.nn.transformer import TransformerLayer

__all__ = ["EmbeddingMonitor", "TrainingModule"]


class TrainingModule(nn.Module):
    """A network that knows its own loss: ``forward`` returns the terms of one batch.

    The sum of the terms whose name ends in ``_loss`` is minimized; the others are only
    recorded.
    """

    def start(self, *data):
        """Set what depends on data (such as a codebook) before the first step."""

    def after_step(self, progress):
        """Update what is not learned by gradient; ``progress`` runs from 0 to 1."""

    def parts_to_compile(self):
        """Modules worth :func:`torch.compile`: blocks that recur."""
        blocks = (ResidualBlock, TransformerLayer)
        return [part for part in self.modules() if isinstance(part, blocks)]

    def epoch_metrics(self):
        """Figures over the whole epoch just done, and forget them."""
        return {}


class EmbeddingMonitor(nn.Module):
    """Effective rank and spread of the embeddings of an epoch: is there a collapse?

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

    def __init__(self, n_features):
        super().__init__()
        # One row more than features: their sums, and in the corner the count.
        # Small spreads around large means cancel in single precision.
        moments = torch.zeros(n_features + 1, n_features + 1, dtype=torch.float64)
        self.register_buffer("moments", moments, persistent=False)

    @torch.no_grad()
    def forward(self, h):
        """Add the embeddings (batch, n_features) of a training step."""
        if self.training:
            h = F.pad(h.detach().double(), (0, 1), value=1.0)
            with torch.autocast(h.device.type, enabled=False):
                self.moments += h.T @ h

    def epoch_metrics(self):
        """The figures since the last call."""
        moments = self.moments / self.moments[-1, -1].clamp(min=1)
        mean = moments[-1, :-1]
        covariance = moments[:-1, :-1] - torch.outer(mean, mean)
        self.moments = torch.zeros_like(self.moments)
        return {
            "effective_rank": effective_rank(covariance),
            "feature_std": covariance.diagonal().clamp(min=0).sqrt().mean(),
        }
