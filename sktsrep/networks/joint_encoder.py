"""The encoder of two views that joint-embedding methods train."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from sktsrep._ranks import gather, share
from sktsrep.augmentations import Augmentation, augment
from sktsrep.networks.base import TrainingModule
from sktsrep.nn import (
    POOL_SIZE,
    EmbeddingMonitor,
    SpectralEncoder,
    pool,
    summarize_latent,
)
from sktsrep.objectives import Objective

__all__ = ["JointEncoder"]


class JointEncoder(TrainingModule):
    """Two views through one encoder; ``forward`` gives the objective's loss terms.

    Parameters
    ----------
    make_encoder : callable
        Makes the encoder from ``out_dim``.
    latent_dim : int
        Channels of the latent map.
    objective : Objective or None
        The self-supervised method; None for a network that is not trained.
    augmentations : sequence of callables
        How a view is made.
    """

    shaped_by = {"make_encoder": "encoder", "latent_dim": "latent_dim"}

    def __init__(
        self,
        *,
        make_encoder: Callable[..., SpectralEncoder],
        latent_dim: int,
        objective: Objective | None,
        augmentations: Sequence[Augmentation],
    ) -> None:
        super().__init__()
        self.objective = objective
        self.augmentations = augmentations
        self.encoder = make_encoder(out_dim=latent_dim)
        self.joint_embedding = None
        if objective is not None:
            self.joint_embedding = objective.make_network(self.encoder, latent_dim)
        self.monitor = EmbeddingMonitor(POOL_SIZE * latent_dim)

    def start(self, x: Tensor) -> None:
        """Take what the encoder and the objective's network need from the data."""
        self.encoder.start(x)
        if self.joint_embedding is not None:
            self.joint_embedding.start(self.encoder)

    def go_on(self, trained: TrainingModule) -> None:
        """Take the tensors of a trained network; the objective starts anew."""
        super().go_on(trained)
        if self.joint_embedding is not None:
            self.joint_embedding.start(self.encoder)

    def embed(self, x: Tensor, level: str) -> Tensor:
        """Map series to summarized features (batch, n_features)."""
        if level == "latent":
            return summarize_latent(self.encoder(x))
        return self.encoder.embed(x)

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        """Compute the loss terms of standardized series (batch, channels, time)."""
        view, other = (augment(x, self.augmentations) for _ in range(2))
        # Both at once: many small steps would take longer than few larger ones.
        own_z = self.encoder(torch.cat([share(view), share(other)]))
        z, z_other = (gather(part, len(x)) for part in own_z.chunk(2))
        self.monitor(pool(z))
        if self.objective is None or self.joint_embedding is None:
            return {}
        return self.objective.losses(self.joint_embedding, z, z_other, view, other)

    def after_step(self, progress: float) -> None:
        """Update what the objective's network averages over steps."""
        if self.joint_embedding is not None:
            self.joint_embedding.follow(self.encoder, progress)

    def finish(self) -> None:
        """Drop the objective, its network and the augmentations."""
        self.objective = self.joint_embedding = None
        self.augmentations = ()
        if self.made_from is not None:
            self.made_from |= {"objective": None, "augmentations": ()}

    def epoch_metrics(self) -> dict[str, Tensor]:
        """Compute rank and spread of the pooled latent map."""
        return self.monitor.epoch_metrics()
