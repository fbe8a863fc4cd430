"""The variational auto-encoder."""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from sktsrep._ranks import mean_of_ranks, share
from sktsrep.functional import gaussian_kl, gaussian_nll
from sktsrep.networks.base import TrainingModule
from sktsrep.nn import EmbeddingMonitor, SpectralEncoder

__all__ = ["VariationalAutoencoder"]


class VariationalAutoencoder(TrainingModule):
    """Gaussian encoder and decoder; ``forward`` gives the two parts of the ELBO.

    Where a method takes ``known``, a bool (batch, channels, observed time), the
    likelihood is that of the known values. The encoder sees all of them as they are.

    Parameters
    ----------
    make_encoder : callable
        Makes the encoder from ``out_dim``.
    hidden_dim : int
        Channels of the latent map.
    latent_dim : int
        Dimension of the latent vector.
    beta : float
        Weight of the KL divergence.
    n_observed : int
        Timepoints of a series; those that fill the last hop are no observations.

    References
    ----------
    Kingma, Welling 2014, "Auto-encoding variational Bayes", arXiv 1312.6114.
    """

    shaped_by = {"make_encoder": "encoder", "latent_dim": "latent_dim"}

    def __init__(
        self,
        *,
        make_encoder: Callable[..., SpectralEncoder],
        hidden_dim: int,
        latent_dim: int,
        beta: float,
        n_observed: int,
    ) -> None:
        super().__init__()
        self.latent_dim = latent_dim
        self.beta = beta
        self.n_observed = n_observed
        self.encoder = make_encoder(out_dim=hidden_dim)
        n_places = self.encoder.sizes[-1]
        self.posterior = nn.Linear(hidden_dim * n_places, 2 * latent_dim)
        self.expand = nn.Sequential(
            nn.Linear(latent_dim, hidden_dim * n_places),
            nn.Unflatten(1, (hidden_dim, n_places)),
        )
        self.decoder = self.encoder.mirror(hidden_dim, transposed=False)
        # One variance for all observations, learned.
        self.log_variance = nn.Parameter(torch.zeros(()))
        self.monitor = EmbeddingMonitor(latent_dim)

    def start(self, x: Tensor) -> None:
        """Take what the encoder needs from the data."""
        self.encoder.start(x)

    def encode(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Map (batch, channels, time) to mean and log variance (batch, latent_dim)."""
        latent = self.encoder(x).flatten(start_dim=1)
        mean, log_variance = self.posterior(latent).float().chunk(2, dim=1)
        return mean, log_variance

    def decode(self, z: Tensor) -> Tensor:
        """Map (batch, latent_dim) to the mean of the series (batch, channels, time)."""
        return self.encoder.series(self.decoder(self.expand(z)).float())

    def bound_terms(
        self, x: Tensor, noise: Tensor, known: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """Reconstruction and KL divergence, in nats per series, by one draw.

        ``noise`` is standard normal, (batch, latent_dim) or one row for all.
        """
        mean, log_variance = self.encode(x)
        observed, decoded = self._observed_and_decoded(x, mean, log_variance, noise)
        self.monitor(mean)
        nll = self._negative_log_likelihood(observed, decoded, known)
        return nll, gaussian_kl(mean, log_variance)

    def _negative_log_likelihood(
        self, observed: Tensor, decoded: Tensor, known: Tensor | None
    ) -> Tensor:
        if known is None:
            return gaussian_nll(observed, decoded, self.log_variance)
        values, means = observed.reshape(-1, 1), decoded.reshape(-1, 1)
        nll = gaussian_nll(values, means, self.log_variance)
        return nll.reshape(known.shape).where(known, 0).sum(dim=(1, 2))

    def squared_error(
        self, x: Tensor, noise: Tensor, known: Tensor | None = None
    ) -> Tensor:
        """Mean squared error of every series, decoded from one draw: (batch,).

        Values that are not known count as errors of 0.
        """
        observed, decoded = self._observed_and_decoded(x, *self.encode(x), noise)
        squared = (decoded - observed).square()
        if known is not None:
            squared = squared.where(known, 0)
        return squared.mean(dim=(1, 2))

    def _observed_and_decoded(
        self, x: Tensor, mean: Tensor, log_variance: Tensor, noise: Tensor
    ) -> tuple[Tensor, Tensor]:
        z = mean + (0.5 * log_variance).exp() * noise  # reparameterization
        observed = slice(self.n_observed)
        return x[..., observed], self.decode(z)[..., observed]

    def forward(self, x: Tensor, known: Tensor | None = None) -> dict[str, Tensor]:
        """Compute the loss terms of standardized series (batch, channels, time)."""
        noise = torch.randn(len(x), self.latent_dim, device=x.device)
        x, noise, known = share(x), share(noise), share(known)
        nll, divergence = self.bound_terms(x, noise, known)
        terms = {
            "reconstruction_loss": nll.mean(),
            "divergence_loss": self.beta * divergence.mean(),
        }
        return mean_of_ranks(terms, len(x))

    def epoch_metrics(self) -> dict[str, Tensor]:
        """Compute rank and spread of the posterior means."""
        return self.monitor.epoch_metrics()
