"""The auto-encoder of NC-VQVAE, its first stage."""

import copy
from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from sktsrep._ranks import gather, mean_of_ranks, share
from sktsrep.augmentations import Augmentation, augment, time_shift
from sktsrep.networks.base import TrainingModule
from sktsrep.nn import (
    POOL_SIZE,
    EmbeddingMonitor,
    SpectralEncoder,
    pool,
    summarize_latent,
)
from sktsrep.nn.spectral_encoder import ROWS_AT_ONCE
from sktsrep.objectives import Objective
from sktsrep.quantizers import Quantizer

__all__ = ["Autoencoder"]

# Latent vectors that a codebook starts from: about forty for each of 512 codes.
_N_START_VECTORS = 20_000


class Autoencoder(TrainingModule):
    """Encoder, quantizer and decoder; ``forward`` gives the loss terms of a batch.

    The latent map has two halves. The encoder gives the first one, whose meaning a
    self-supervised loss shapes. The second one is linear in the spectrogram, so it
    learns at once what a decoder needs for detail, and no other loss reaches it.

    Parameters
    ----------
    make_encoder : callable
        Makes the encoder from ``out_dim``, such as a partial
        :class:`~sktsrep.nn.SpectralEncoder`.
    quantizer : Quantizer
        Makes the quantizer.
    n_samples, n_values : int
        Series in the training data, and values of a series for each place, on which
        the size of the quantizer depends.
    objective : Objective or None
        The self-supervised method.
    augmentations : sequence of callables
        How a view is made.
    ssl_weight, augmented_weight : float
        Weights of the self-supervised terms and of the view's reconstruction.
    shift_probability : float
        Probability that a series is shifted in time in training.
    detailed : bool
        Whether there is a second half, and a decoder with transposed convolutions.
        Networks of older files have neither.

    References
    ----------
    Mathisen, Lokna, Lee, Aune 2024, arXiv 2408.16613.
    """

    shaped_by = {"make_encoder": "encoder", "quantizer": "quantizer"}

    def __init__(
        self,
        *,
        make_encoder: Callable[..., SpectralEncoder],
        quantizer: Quantizer,
        n_samples: int,
        objective: Objective | None,
        augmentations: Sequence[Augmentation],
        ssl_weight: float,
        augmented_weight: float,
        shift_probability: float,
        n_values: int = 1,  # as in older files, where nothing depends on it
        detailed: bool = False,
    ) -> None:
        super().__init__()
        self.objective = objective
        self.augmentations = augmentations
        self.ssl_weight = ssl_weight
        self.augmented_weight = augmented_weight
        self.shift_probability = shift_probability
        dim = quantizer.dim
        detail_dim = dim // 2 if detailed else 0
        self.encoder = make_encoder(out_dim=dim - detail_dim)
        self.detail = self.encoder.linear_path(detail_dim) if detail_dim else None
        self.quantizer = quantizer.make_module(n_samples, n_values)
        self.decoder = self.encoder.mirror(dim, transposed=detailed)
        self.joint_embedding = None
        if objective is not None:
            self.joint_embedding = objective.make_network(
                self.encoder, self.encoder.out_dim
            )
        self.monitor = EmbeddingMonitor(POOL_SIZE * self.encoder.out_dim)

    def start(self, x: Tensor) -> None:
        """Take what encoder, objective and quantizer need from the data."""
        self.encoder.start(x)
        if self.joint_embedding is not None:
            self.joint_embedding.start(self.encoder)
        self.quantizer.start(self._latent_vectors(x, _N_START_VECTORS))

    @torch.no_grad()
    def _latent_vectors(self, x: Tensor, n_most: int) -> Tensor:
        """Latent vectors (n_vectors, dim) of random series, about ``n_most``."""
        rows = torch.randperm(len(x), device=x.device)
        rows = rows[: max(1, n_most // self.encoder.sizes[-1])]
        z = torch.cat([self.latent(x[chunk]) for chunk in rows.split(ROWS_AT_ONCE)])
        return z.movedim(1, -1).flatten(end_dim=1)

    def go_on(self, trained: TrainingModule) -> None:
        """Take the tensors of a trained network; the objective starts anew."""
        super().go_on(trained)
        self.quantizer.go_on()
        if self.joint_embedding is not None:
            self.joint_embedding.start(self.encoder)

    def decode(self, z: Tensor, n_timepoints: int) -> tuple[Tensor, Tensor]:
        """Map (batch, dim, places) to spectrogram and series of that length.

        The entries of the spectrogram are relative to the power of their bins.
        """
        sizes = self.encoder.sizes_of(n_timepoints)
        relative = self.decoder(z, sizes[::-1]).float()
        spectrogram = relative * self.encoder.bin_scale
        return relative, self.encoder.series(spectrogram, n_timepoints)

    def decode_tokens(self, tokens: Tensor, n_timepoints: int) -> Tensor:
        """Map tokens (batch, n_tokens) to series (batch, channels, n_timepoints)."""
        return self.decode(self.quantizer.lookup(tokens), n_timepoints)[1]

    def latent(self, x: Tensor) -> Tensor:
        """Map series to latent maps (batch, dim, places), before quantization."""
        spectrogram = self.encoder.spectrogram(x)
        meaning = self.encoder.latent(spectrogram)
        return self._with_detail(meaning, self.encoder.relative(spectrogram))

    def _with_detail(self, meaning: Tensor, relative: Tensor) -> Tensor:
        """Append the half of the latent map that is linear in the spectrogram."""
        if self.detail is None:
            return meaning
        return torch.cat([meaning, self.detail(relative)], dim=1)

    def tokens(self, x: Tensor) -> Tensor:
        """Map series to tokens (batch, n_tokens)."""
        return self.quantizer.encode(self.latent(x))

    def embed(self, x: Tensor, level: str) -> Tensor:
        """Map series to summarized features (batch, n_features)."""
        if level == "latent":
            return summarize_latent(self.encoder(x))
        if level == "tokens":
            return summarize_latent(self.quantizer.lookup(self.tokens(x)))
        spectrogram = self.encoder.spectrogram(x)
        activations = self.encoder.activations(spectrogram)
        z = self._with_detail(activations[-1], self.encoder.relative(spectrogram))
        z_q = self.quantizer.lookup(self.quantizer.encode(z))
        summary = self.encoder.summarize(activations)
        return torch.cat([summary, summarize_latent(z_q)], dim=1)

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        """Compute the loss terms of standardized series (batch, channels, time)."""
        x = self._shift_some(x)
        views = [x]
        if self.objective is not None:
            views.append(augment(x, self.augmentations))
        own = [share(view) for view in views]
        # All views at once: many small steps would take longer than few larger ones.
        spectrogram = self.encoder.spectrogram(torch.cat(own))
        # Relative, because most bins have next to no share in the series' error.
        relative = self.encoder.relative(spectrogram)
        meaning = self.encoder.latent(spectrogram)
        own_z = self._with_detail(meaning, relative).chunk(len(views))
        z_q, _, terms = self.quantizer(gather(own_z[0], len(x)))  # (batch, dim, places)
        own_meaning = z_q[:, : meaning.shape[1]]
        self.monitor(pool(own_meaning))
        # The view is not quantized.
        latents = [share(z_q), *own_z[1:]] if self.augmented_weight else [share(z_q)]
        decoded, series = self.decode(torch.cat(latents), x.shape[-1])
        n_own = len(own[0])
        decoder_terms = {
            "time_loss": F.mse_loss(series[:n_own], own[0]),
            "frequency_loss": F.mse_loss(decoded[:n_own], relative[:n_own]),
        }
        if len(latents) > 1:
            loss = F.mse_loss(series[n_own:], own[1])
            decoder_terms["augmented_loss"] = self.augmented_weight * loss
        joint = {}
        if self.objective is not None and self.joint_embedding is not None:
            view_meaning = gather(meaning.chunk(2)[1], len(x))
            joint = self.objective.losses(
                self.joint_embedding, own_meaning, view_meaning, *views
            )
        terms |= mean_of_ranks(decoder_terms, n_own)
        return terms | {name: self.ssl_weight * term for name, term in joint.items()}

    def _shift_some(self, x: Tensor) -> Tensor:
        if not self.training:  # held-out series are judged as they are
            return x
        # A small data set is soon memorized; shifting makes it new at every step.
        shifted = torch.rand(len(x), 1, 1, device=x.device) < self.shift_probability
        return torch.where(shifted, time_shift(x), x)

    def after_step(self, progress: float) -> None:
        """Update what the objective's network averages over steps."""
        if self.joint_embedding is not None:
            self.joint_embedding.follow(self.encoder, progress)

    def finish(self) -> None:
        """Drop the objective, its network and the augmentations."""
        self.objective = self.joint_embedding = None
        self.augmentations = ()
        if self.made_from is not None:  # parameters of the quantizer may be set anew
            quantizer = copy.deepcopy(self.made_from["quantizer"])
            untrained = {"objective": None, "augmentations": ()}
            self.made_from |= {**untrained, "quantizer": quantizer}

    def epoch_metrics(self) -> dict[str, Tensor]:
        """Compute use of the codebook and spread of the quantized features."""
        return self.quantizer.epoch_metrics() | self.monitor.epoch_metrics()
