"""The fully convolutional network of Wang et al."""

from torch import Tensor, nn

from sktsrep._ranks import gather, share
from sktsrep.functional import weighted_cross_entropy
from sktsrep.networks.base import TrainingModule
from sktsrep.nn import BatchNorm

__all__ = ["FullyConvolutionalNetwork"]

_WIDTHS = (128, 256, 128)
_KERNEL_SIZES = (8, 5, 3)


class _Body(nn.Sequential):
    """Three convolutions, batch norms and ReLUs, pooled over time."""

    worth_compiling = True

    def __init__(self, n_channels: int) -> None:
        layers: list[nn.Module] = []
        for width, size in zip(_WIDTHS, _KERNEL_SIZES, strict=True):
            layers += [
                nn.ConstantPad1d(((size - 1) // 2, size // 2), 0.0),
                nn.Conv1d(n_channels, width, size),
                BatchNorm(width),
                nn.ReLU(),
            ]
            n_channels = width
        super().__init__(*layers)

    def forward(self, x: Tensor) -> Tensor:
        """Map (batch, channels, time) to (batch, 128)."""
        return super().forward(x).float().mean(dim=-1)


class FullyConvolutionalNetwork(TrainingModule):
    """Convolutions and a linear head; ``forward`` gives the cross-entropy.

    Parameters
    ----------
    n_channels, n_classes : int
        Channels of a series, and classes.

    References
    ----------
    Wang, Yan, Oates 2017, "Time series classification from scratch with deep neural
    networks", arXiv 1611.06455.
    """

    n_features = _WIDTHS[-1]

    def __init__(self, *, n_channels: int, n_classes: int) -> None:
        super().__init__()
        self.body = _Body(n_channels)
        self.head = nn.Linear(self.n_features, n_classes)

    def logits(self, x: Tensor) -> Tensor:
        """Map (batch, channels, time) to (batch, n_classes)."""
        return self.head(self.body(x)).float()

    def forward(self, x: Tensor, y: Tensor, weight: Tensor) -> dict[str, Tensor]:
        """Compute the weighted cross-entropy of standardized series and classes."""
        logits = gather(self.logits(share(x)), len(x))
        loss = weighted_cross_entropy(logits, y, weight)
        return {"classification_loss": loss}
