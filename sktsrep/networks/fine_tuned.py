"""The classifier on top of a pre-trained encoder."""

import torch.nn.functional as F
from torch import Tensor, nn

from sktsrep.networks.base import TrainingModule
from sktsrep.nn import SpectralEncoder

__all__ = ["FineTunedNetwork"]


class FineTunedNetwork(TrainingModule):
    """A pre-trained encoder and a linear head on the summary of all its activations.

    Parameters
    ----------
    encoder : SpectralEncoder
        The encoder, which is trained further.
    class_weight : Tensor of shape (n_classes,)
        Weights of the classes in the loss.
    """

    class_weight: Tensor

    def __init__(self, *, encoder: SpectralEncoder, class_weight: Tensor) -> None:
        super().__init__()
        self.encoder = encoder
        self.norm = nn.LayerNorm(encoder.n_features)
        self.head = nn.Linear(encoder.n_features, len(class_weight))
        self.register_buffer("class_weight", class_weight)

    def logits(self, x: Tensor) -> Tensor:
        """Map (batch, channels, time) to (batch, n_classes)."""
        features = self.norm(self.encoder.embed(x))  # (batch, n_features)
        # The last bits of a product depend on where in memory a row begins. With the
        # batch innermost, a series scores the same at every place of a batch.
        return self.head(features.t().contiguous().t()).float()

    def forward(self, x: Tensor, y: Tensor) -> dict[str, Tensor]:
        """Compute the cross-entropy of standardized series and class indices."""
        nats = F.cross_entropy(self.logits(x), y, weight=self.class_weight)
        return {"classification_loss": nats}
