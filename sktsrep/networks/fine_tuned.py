"""The classifier on top of a pre-trained encoder."""

from torch import Tensor, nn

from sktsrep._ranks import gather, share
from sktsrep.functional import weighted_cross_entropy
from sktsrep.networks.base import TrainingModule
from sktsrep.nn import SpectralEncoder

__all__ = ["FineTunedNetwork"]


class FineTunedNetwork(TrainingModule):
    """A pre-trained encoder and a linear head on the summary of all its activations.

    Parameters
    ----------
    encoder : SpectralEncoder
        The encoder, which is trained further.
    n_classes : int
        Number of classes.
    """

    def __init__(self, *, encoder: SpectralEncoder, n_classes: int) -> None:
        super().__init__()
        self.encoder = encoder
        self.norm = nn.LayerNorm(encoder.n_features)
        self.head = nn.Linear(encoder.n_features, n_classes)

    def logits(self, x: Tensor) -> Tensor:
        """Map (batch, channels, time) to (batch, n_classes)."""
        features = self.norm(self.encoder.embed(x))  # (batch, n_features)
        # The last bits of a product depend on where in memory a row begins. With the
        # batch innermost, a series scores the same at every place of a batch.
        return self.head(features.t().contiguous().t()).float()

    def forward(self, x: Tensor, y: Tensor, weight: Tensor) -> dict[str, Tensor]:
        """Compute the weighted cross-entropy of standardized series and classes."""
        logits = gather(self.logits(share(x)), len(x))
        loss = weighted_cross_entropy(logits, y, weight)
        return {"classification_loss": loss}
