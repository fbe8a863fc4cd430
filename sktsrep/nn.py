"""Torch modules, from leaves to whole networks. Series are (batch, channels, time)."""

import copy
import itertools
import math

import torch
import torch.nn.functional as F
from scipy.signal import get_window
from torch import nn

from sktsrep.functional import (
    codebook_lookup,
    codebook_loss,
    commitment_loss,
    effective_rank,
    istft,
    iterative_normalization,
    orthogonal_loss,
    perplexity,
    stft,
)

__all__ = [
    "STFT",
    "Decoder",
    "EmbeddingMonitor",
    "Encoder",
    "IterNorm",
    "MaskedTransformer",
    "MovingAverage",
    "Pool",
    "Projector",
    "SeriesEncoder",
    "TrainingModule",
    "VectorQuantizer",
    "pool",
    "summarize",
    "summarize_latent",
]


class TrainingModule(nn.Module):
    """A network that knows its own loss: ``forward`` returns the terms of one batch.

    The sum of the terms whose name ends in ``_loss`` is minimised; the others are only
    recorded.
    """

    def start(self, *data):
        """Set what depends on data (such as a codebook) before the first step."""

    def after_step(self, progress):
        """Update what is not learnt by gradient; ``progress`` runs from 0 to 1."""

    def epoch_metrics(self):
        """Figures over the whole epoch just done, and forget them."""
        return {}


def pool(x):
    """Mean and maximum over time, side by side: what losses compare.

    Parameters
    ----------
    x : Tensor of shape (batch, channels, time)
        Feature map. ``amax`` shares the gradient among ties, which a quantised map is
        full of; otherwise rounding would decide where it goes.

    Returns
    -------
    Tensor of shape (batch, 2 * channels)

    Examples
    --------
    >>> import torch
    >>> pool(torch.tensor([[[0., 1., 2.]]]))
    tensor([[1., 2.]])
    """
    return torch.cat([x.mean(dim=-1), x.amax(dim=-1)], dim=1)


def summarize(x):
    """Mean, maximum and share of positive values over time: what there is in a series.

    The share has no gradient; it tells how often a pattern occurs, where the maximum
    tells how well it matched at best.

    Parameters
    ----------
    x : Tensor of shape (batch, channels, time)
        Feature map.

    Returns
    -------
    Tensor of shape (batch, 3 * channels)

    References
    ----------
    Dempster, Petitjean, Webb 2020, "ROCKET", arXiv 1910.13051, section 3.2.

    Examples
    --------
    >>> import torch
    >>> summarize(torch.tensor([[[-1., 0., 0., 5.]]]))
    tensor([[1.0000, 5.0000, 0.2500]])
    """
    return torch.cat([pool(x), (x > 0).to(x.dtype).mean(dim=-1)], dim=1)


def summarize_latent(x):
    """:func:`summarize`, and the maximum in every quarter of the time: what, and where.

    Parameters
    ----------
    x : Tensor of shape (batch, channels, time)
        Latent or quantised map. Quarters of fewer than four positions, or of a number
        that four does not divide, overlap.

    Returns
    -------
    Tensor of shape (batch, 7 * channels)

    Examples
    --------
    >>> import torch
    >>> summarize_latent(torch.tensor([[[-1., 0., 0., 5.]]]))
    tensor([[ 1.0000,  5.0000,  0.2500, -1.0000,  0.0000,  0.0000,  5.0000]])
    """
    quarters = F.adaptive_max_pool1d(x, 4)
    return torch.cat([summarize(x), quarters.flatten(start_dim=1)], dim=1)


class Pool(nn.Module):
    """:func:`pool` as a module.

    Examples
    --------
    >>> import torch
    >>> Pool()(torch.zeros(2, 3, 4)).shape
    torch.Size([2, 6])
    """

    def forward(self, x):
        """(batch, channels, time) -> (batch, 2 * channels)."""
        return pool(x)


class STFT(nn.Module):
    """Short-time Fourier transform with real and imaginary parts as channels.

    Parameters
    ----------
    n_fft : int
        Length of the window in timepoints.
    hop_length : int
        Timepoints between frames.
    window : str
        A window's name for :func:`scipy.signal.get_window`.
    dtype : torch.dtype
        Of the series.

    Examples
    --------
    >>> import torch
    >>> STFT(8, 4)(torch.zeros(1, 3, 20)).shape
    torch.Size([1, 6, 5, 6])
    """

    def __init__(self, n_fft, hop_length, window="hann", dtype=torch.float32):
        super().__init__()
        self.n_fft = n_fft
        self.hop_length = hop_length
        values = torch.as_tensor(get_window(window, n_fft), dtype=dtype)
        self.register_buffer("window", values, persistent=False)

    def forward(self, x):
        """(batch, channels, time) -> (batch, 2 * channels, bins, frames)."""
        spectrogram = stft(x, self.n_fft, self.hop_length, self.window)
        return torch.cat([spectrogram.real, spectrogram.imag], dim=1)

    def inverse(self, spectrogram, n_timepoints):
        """(batch, 2 * channels, bins, frames) -> (batch, channels, n_timepoints)."""
        real, imaginary = spectrogram.chunk(2, dim=1)
        values = torch.complex(real, imaginary)
        return istft(values, self.n_fft, self.hop_length, self.window, n_timepoints)


def _norm(channels):
    # Statistics of one series alone: a row's result cannot depend on its batch.
    # At least eight channels a group, where there are: one frame must not be all.
    n_groups = math.gcd(8, channels, max(channels // 8, 1))
    return nn.GroupNorm(n_groups, channels)


class ResidualBlock(nn.Module):
    """Two dilated convolutions beside an identity path (pre-activation ResNet).

    Parameters
    ----------
    channels : int
        Channels in and out.
    dilation : int
        Spacing of the kernel's three taps, in frames.

    Examples
    --------
    >>> import torch
    >>> ResidualBlock(8, dilation=2)(torch.zeros(1, 8, 5)).shape
    torch.Size([1, 8, 5])
    """

    def __init__(self, channels, dilation):
        super().__init__()
        self.layers = nn.Sequential(
            _norm(channels),
            nn.SiLU(),
            nn.Conv1d(channels, channels, 3, padding=dilation, dilation=dilation),
            _norm(channels),
            nn.SiLU(),
            nn.Conv1d(channels, channels, 3, padding=dilation, dilation=dilation),
        )

    def forward(self, x):
        """(batch, channels, time) -> the same shape."""
        return x + self.layers(x)


def _residual_stage(channels, n_blocks):
    return nn.Sequential(*(ResidualBlock(channels, 2**i) for i in range(n_blocks)))


class Encoder(nn.Module):
    """Residual convolutions over the frames of a spectrogram, halving them by stages.

    Parameters
    ----------
    in_channels : int
        Real and imaginary parts of every channel and frequency bin.
    hidden_dim : int
        Channels of every stage.
    out_dim : int
        Channels of the output.
    n_stages : int
        Number of stages; every one but the first halves the frames (rounding down), of
        which there must be ``2 ** (n_stages - 1)`` or more.
    n_blocks : int
        Residual blocks a stage, with dilations 1, 2, 4, ...

    Examples
    --------
    >>> import torch
    >>> encoder = Encoder(10, hidden_dim=16, out_dim=4, n_stages=3, n_blocks=1)
    >>> encoder(torch.zeros(2, 10, 21)).shape
    torch.Size([2, 4, 5])
    """

    def __init__(self, in_channels, hidden_dim, out_dim, n_stages, n_blocks):
        super().__init__()
        entries = [nn.Conv1d(in_channels, hidden_dim, 3, padding=1)] + [
            nn.Conv1d(hidden_dim, hidden_dim, 4, stride=2, padding=1)
            for _ in range(n_stages - 1)
        ]
        self.stages = nn.ModuleList(
            nn.Sequential(entry, _residual_stage(hidden_dim, n_blocks))
            for entry in entries
        )
        self.head = nn.Sequential(
            _norm(hidden_dim), nn.SiLU(), nn.Conv1d(hidden_dim, out_dim, 1)
        )

    def activations(self, x):
        """Output of every stage's entry and residual blocks and, last, of the head."""
        outputs = []
        for entry, blocks in self.stages:
            x = entry(x)
            outputs.append(x)
            for block in blocks:
                x = block(x)
                outputs.append(x)
        return [*outputs, self.head(x)]

    def forward(self, x):
        """(batch, in_channels, frames) -> (batch, out_dim, tokens)."""
        return self.activations(x)[-1]


class Decoder(nn.Module):
    """Mirror of :class:`Encoder`: residual stages with interpolation in between.

    Parameters
    ----------
    in_dim : int
        Channels of the latent map.
    hidden_dim : int
        Channels of every stage.
    out_channels : int
        Channels of the spectrogram.
    sizes : sequence of int
        Frames after every stage, from the coarsest to the full spectrogram.
    n_blocks : int
        Residual blocks a stage.

    Examples
    --------
    >>> import torch
    >>> decoder = Decoder(4, hidden_dim=16, out_channels=10, sizes=[6, 21], n_blocks=1)
    >>> decoder(torch.zeros(2, 4, 6)).shape
    torch.Size([2, 10, 21])
    """

    def __init__(self, in_dim, hidden_dim, out_channels, sizes, n_blocks):
        super().__init__()
        self.sizes = tuple(sizes)
        self.entry = nn.Conv1d(in_dim, hidden_dim, 3, padding=1)
        self.stages = nn.ModuleList(
            _residual_stage(hidden_dim, n_blocks) for _ in self.sizes
        )
        self.head = nn.Sequential(
            _norm(hidden_dim),
            nn.SiLU(),
            nn.Conv1d(hidden_dim, out_channels, 3, padding=1),
        )

    def forward(self, z):
        """(batch, in_dim, tokens) -> (batch, out_channels, sizes[-1])."""
        x = self.entry(z)
        for size, stage in zip(self.sizes, self.stages, strict=True):
            if x.shape[-1] != size:
                x = F.interpolate(x, size=size, mode="linear")
            x = stage(x)
        return self.head(x)


class VectorQuantizer(nn.Module):
    r"""Replace latent vectors by their nearest codes, with a straight-through gradient.

    ``z + sg(z_q - z)``: the encoder gets the decoder's gradient unchanged, and the
    codebook learns from the codebook loss or from moving averages, never from the
    reconstruction.

    Parameters
    ----------
    n_codes, dim : int
        Size of the codebook.
    update : {"ema", "gradient"}
        Exponential moving averages of the vectors assigned to each code, with Laplace
        smoothing, or the codebook loss.
    decay : float
        Of the moving averages of counts (both updates) and sums. It is grown into, at
        most ``n / (n + 10)`` at step ``n``: with a long memory from the start, the
        codes lose an encoder that moves fast.
    commitment_weight, orthogonal_weight : float
        Weights of the loss terms.
    revival_threshold : float
        A code is dead once its moving average of counts is below this share of the
        mean; it restarts at a random vector of the batch. 0 turns it off.

    References
    ----------
    van den Oord et al. 2017, "VQ-VAE", arXiv 1711.00937, section 3 and appendix A.

    Examples
    --------
    >>> import torch
    >>> quantizer = VectorQuantizer(n_codes=4, dim=2)
    >>> z_q, tokens, losses = quantizer(torch.randn(3, 2, 5))
    >>> z_q.shape, tokens.shape, sorted(losses)
    (torch.Size([3, 2, 5]), torch.Size([3, 5]), ['commitment_loss'])
    """

    def __init__(
        self,
        n_codes,
        dim,
        update="ema",
        decay=0.99,
        commitment_weight=0.25,
        orthogonal_weight=0.0,
        revival_threshold=0.05,
    ):
        super().__init__()
        self.update = update
        self.decay = decay
        self.commitment_weight = commitment_weight
        self.orthogonal_weight = orthogonal_weight
        self.revival_threshold = revival_threshold
        self.n_steps = 0
        codebook = torch.randn(n_codes, dim)
        if update == "ema":
            self.register_buffer("codebook", codebook)
            self.register_buffer("sums", codebook.clone())
        else:
            self.codebook = nn.Parameter(codebook)
        self.register_buffer("counts", torch.ones(n_codes))
        self.register_buffer("epoch_counts", torch.zeros(n_codes), persistent=False)

    @torch.no_grad()
    def start(self, codes):
        """Begin at the given codes (n_codes, dim), each as if in equal use."""
        self.codebook.copy_(codes)
        self.counts.fill_(1)
        if self.update == "ema":
            self.sums.copy_(codes)

    def lookup(self, tokens):
        """(batch, tokens) -> (batch, dim, tokens)."""
        return F.embedding(tokens, self.codebook).movedim(-1, 1)

    def encode(self, z):
        """(batch, dim, tokens) -> nearest codes (batch, tokens)."""
        return codebook_lookup(z.movedim(1, -1), self.codebook)

    def forward(self, z):
        """Quantise (batch, dim, tokens); also the tokens and the loss terms."""
        z = z.float()  # distances and averages need the precision
        tokens = self.encode(z.detach())
        z_q = self.lookup(tokens)
        losses = {"commitment_loss": self.commitment_weight * commitment_loss(z, z_q)}
        if self.update == "gradient":
            losses["codebook_loss"] = codebook_loss(z, z_q)
            if self.orthogonal_weight:
                # Of a copy: reviving codes below must not touch what backward needs.
                orthogonal = orthogonal_loss(self.codebook.clone())
                losses["orthogonal_loss"] = self.orthogonal_weight * orthogonal
        straight_through = z + (z_q - z).detach()
        if self.training:
            self._follow(z.detach().movedim(1, -1).flatten(end_dim=1), tokens.flatten())
        return straight_through, tokens, losses

    @torch.no_grad()
    def _follow(self, vectors, tokens):
        """Move averages (and, with ``ema``, codes) towards a batch's vectors."""
        # Averages over few steps at first: codes must follow a fast encoder.
        self.n_steps += 1
        decay = min(self.decay, self.n_steps / (self.n_steps + 10))
        ones = torch.ones_like(vectors[:, 0])
        batch_counts = torch.zeros_like(self.counts).index_add_(0, tokens, ones)
        self.epoch_counts += batch_counts
        # As shares of a uniform use: 1 means the code has its fair part.
        share = batch_counts * (len(self.counts) / len(tokens))
        self.counts.lerp_(share, 1 - decay)
        if self.update == "ema":
            sums = torch.zeros_like(self.sums).index_add_(0, tokens, vectors)
            self.sums.lerp_(sums * (len(self.counts) / len(tokens)), 1 - decay)
            self.codebook.copy_(self.sums / self._smoothed_counts().unsqueeze(1))
        if self.revival_threshold:
            self._revive(vectors)

    def _smoothed_counts(self, eps=1e-5):
        total = self.counts.sum()
        return (self.counts + eps) / (total + len(self.counts) * eps) * total

    def _revive(self, vectors):
        # Masks instead of indices: no waiting for the device.
        dead = self.counts < self.revival_threshold
        choice = torch.randint(len(vectors), (len(dead),), device=vectors.device)
        fresh = vectors[choice]
        self.codebook.copy_(torch.where(dead.unsqueeze(1), fresh, self.codebook))
        self.counts.masked_fill_(dead, 1)
        if self.update == "ema":
            self.sums.copy_(torch.where(dead.unsqueeze(1), fresh, self.sums))

    def epoch_metrics(self):
        """Perplexity and the share of codes in use since the last call."""
        metrics = {
            "perplexity": perplexity(self.epoch_counts),
            "codebook_usage": (self.epoch_counts > 0).float().mean(),
        }
        self.epoch_counts = torch.zeros_like(self.epoch_counts)
        return metrics


class IterNorm(nn.Module):
    """Iterative normalisation: whitening by Newton's method, with running averages.

    Parameters
    ----------
    features : int
        Number of features.
    n_iterations : int
        Newton iterations.
    group_size : int
        Features are whitened in groups of at most this many, as in the authors' code.
    momentum : float
        Weight of a batch in the running mean and whitening matrix.

    References
    ----------
    Huang et al. 2019, "Iterative Normalization", arXiv 1904.03441.

    Examples
    --------
    >>> import torch
    >>> IterNorm(3)(torch.randn(8, 3)).shape
    torch.Size([8, 3])
    """

    def __init__(self, features, n_iterations=5, group_size=64, momentum=0.1):
        super().__init__()
        self.n_iterations = n_iterations
        self.momentum = momentum
        # The largest number of equal groups whose size does not exceed the limit.
        sizes = [n for n in range(1, group_size + 1) if features % n == 0]
        size, n_groups = sizes[-1], features // sizes[-1]
        self.register_buffer("mean", torch.zeros(n_groups, size))
        self.register_buffer("whitening", torch.eye(size).repeat(n_groups, 1, 1))

    def forward(self, z):
        """(batch, features) -> the same shape."""
        groups = z.unflatten(1, self.mean.shape).transpose(0, 1)  # (groups, batch, ..)
        if self.training:
            whitened, mean, whitening = iterative_normalization(
                groups, self.n_iterations
            )
            self.mean.lerp_(mean.detach(), self.momentum)
            self.whitening.lerp_(whitening.detach(), self.momentum)
        else:
            whitened = (groups - self.mean.unsqueeze(1)) @ self.whitening
        return whitened.transpose(0, 1).flatten(start_dim=1)


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
        moments = torch.zeros(n_features + 1, n_features + 1)
        self.register_buffer("moments", moments, persistent=False)

    @torch.no_grad()
    def forward(self, h):
        """Add the embeddings (batch, n_features) of a training step."""
        if self.training:
            h = F.pad(h.detach().float(), (0, 1), value=1.0)
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


class Projector(nn.Sequential):
    """Linear layers with batch normalisation and ReLU in between.

    Parameters
    ----------
    dims : sequence of int
        Features from input to output.
    last_norm : nn.Module or None
        What follows the last linear layer.

    Examples
    --------
    >>> import torch
    >>> Projector([4, 8, 2])(torch.zeros(3, 4)).shape
    torch.Size([3, 2])
    """

    def __init__(self, dims, last_norm=None):
        *inner, last = itertools.pairwise(dims)
        layers = []
        for n_in, n_out in inner:
            # The normalisation's shift makes a bias useless.
            layers += [nn.Linear(n_in, n_out, bias=False)]
            layers += [nn.BatchNorm1d(n_out), nn.ReLU()]
        layers.append(nn.Linear(*last))
        if last_norm is not None:
            layers.append(last_norm)
        super().__init__(*layers)


class MovingAverage(nn.Module):
    """A slowly following copy of a network: parameters and buffers are averaged.

    Parameters
    ----------
    module : nn.Module
        The network to copy and then to follow.

    Examples
    --------
    >>> import torch
    >>> online = torch.nn.Linear(1, 1)
    >>> target = MovingAverage(online)
    >>> target.follow(online, momentum=0.9)
    """

    def __init__(self, module):
        super().__init__()
        self.module = copy.deepcopy(module).requires_grad_(False)

    @torch.no_grad()
    def forward(self, *args):
        """The copy's output, without gradient."""
        return self.module(*args)

    @torch.no_grad()
    def follow(self, online, momentum):
        """``target <- momentum * target + (1 - momentum) * online``."""
        for target, source in zip(
            self.module.parameters(), online.parameters(), strict=True
        ):
            target.lerp_(source, 1 - momentum)
        for target, source in zip(self.module.buffers(), online.buffers(), strict=True):
            if target.is_floating_point():
                target.lerp_(source, 1 - momentum)
            else:
                target.copy_(source)


class _Attention(nn.Module):
    def __init__(self, dim, n_heads):
        super().__init__()
        self.n_heads = n_heads
        self.query_key_value = nn.Linear(dim, 3 * dim)
        self.out = nn.Linear(dim, dim)

    def forward(self, x):
        query, key, value = (
            part.unflatten(-1, (self.n_heads, -1)).transpose(1, 2)
            for part in self.query_key_value(x).chunk(3, dim=-1)
        )  # (batch, heads, tokens, dim / heads)
        # No dropout here: the fused kernels do not know it.
        mixed = F.scaled_dot_product_attention(query, key, value)
        return self.out(mixed.transpose(1, 2).flatten(start_dim=2))


class _TransformerLayer(nn.Module):
    def __init__(self, dim, n_heads, dropout):
        super().__init__()
        self.attention_norm = nn.LayerNorm(dim)
        self.attention = _Attention(dim, n_heads)
        self.mlp = nn.Sequential(
            nn.LayerNorm(dim),
            nn.Linear(dim, 2 * dim),
            nn.GELU(),
            nn.Linear(2 * dim, dim),
        )
        self.dropout = nn.Dropout(dropout)

    def forward(self, x):
        x = x + self.dropout(self.attention(self.attention_norm(x)))
        return x + self.dropout(self.mlp(x))


class MaskedTransformer(nn.Module):
    """Bidirectional transformer over tokens, some of them masked, and a class token.

    Parameters
    ----------
    n_codes : int
        Size of the codebook; the mask is one more token.
    n_tokens : int
        Tokens a series.
    n_classes : int
        Classes; "no class" is one more, 0 is a model without classes.
    dim, n_layers, n_heads : int
        Width, depth and attention heads.
    dropout : float
        Probability of dropping, between 0 and 1.

    References
    ----------
    Chang et al. 2022, "MaskGIT", arXiv 2202.04200.

    Examples
    --------
    >>> import torch
    >>> net = MaskedTransformer(5, 7, n_classes=2, dim=8, n_layers=1, n_heads=2)
    >>> tokens = torch.zeros(3, 7, dtype=torch.int64)
    >>> net(tokens, tokens > 0, torch.tensor([0, 1, 2])).shape
    torch.Size([3, 7, 5])
    """

    def __init__(
        self, n_codes, n_tokens, n_classes, dim=128, n_layers=4, n_heads=4, dropout=0.1
    ):
        super().__init__()
        self.n_codes = n_codes
        self.n_classes = n_classes
        self.token_embedding = nn.Embedding(n_codes + 1, dim)
        self.class_embedding = nn.Embedding(n_classes + 1, dim)
        self.position_embedding = nn.Parameter(torch.empty(n_tokens + 1, dim))
        for table in (
            self.token_embedding.weight,
            self.class_embedding.weight,
            self.position_embedding,
        ):
            nn.init.trunc_normal_(table, std=0.02)
        self.dropout = nn.Dropout(dropout)
        self.layers = nn.ModuleList(
            _TransformerLayer(dim, n_heads, dropout) for _ in range(n_layers)
        )
        self.head = nn.Sequential(nn.LayerNorm(dim), nn.Linear(dim, n_codes))

    def forward(self, tokens, mask, classes):
        """Scores of the codes at every place.

        Parameters
        ----------
        tokens : Tensor of shape (batch, n_tokens), int64
            Codes; ignored where masked.
        mask : Tensor of shape (batch, n_tokens), bool
            True where a token is hidden.
        classes : Tensor of shape (batch,), int64
            Class indices; ``n_classes`` means none.

        Returns
        -------
        Tensor of shape (batch, n_tokens, n_codes)
        """
        return self.head(self.hidden(tokens, mask, classes))

    def hidden(self, tokens, mask, classes):
        """Last hidden state, (batch, n_tokens, dim), before the head."""
        visible = tokens.masked_fill(mask, self.n_codes)
        x = torch.cat(
            [
                self.class_embedding(classes).unsqueeze(1),
                self.token_embedding(visible),
            ],
            dim=1,
        )  # (batch, 1 + n_tokens, dim)
        x = self.dropout(x + self.position_embedding)
        for layer in self.layers:
            x = layer(x)
        return x[:, 1:]


class SeriesEncoder(nn.Module):
    """From standardised series to a latent map: STFT, then :class:`Encoder`.

    Every frequency bin's real and imaginary parts and its log amplitude are channels of
    a convolution over the frames. Linear in the series, the parts are blind to what has
    little power; logarithms are not, but know no sign.

    Parameters
    ----------
    n_channels, n_timepoints : int
        Shape of a series; whole hops.
    out_dim : int
        Channels of the latent map.
    n_fft, hop_length : int
        Of the STFT, with a Hann window.
    max_tokens : int
        Stages halve the frames until there are no more than this many.
    hidden_dim, n_blocks : int
        See :class:`Encoder`.

    Attributes
    ----------
    sizes : list of int
        Frames of every stage, from fine to coarse; the last is the number of tokens.
    in_channels : int
        Real and imaginary parts of every channel and frequency bin.
    log_mean : Tensor of shape (in_channels / 2, 1)
        Mean log amplitudes of the training data, set by :meth:`start`.
    n_features : int
        Features of :meth:`embed`.

    Examples
    --------
    >>> import torch
    >>> encoder = SeriesEncoder(1, 40, out_dim=4, max_tokens=8, hidden_dim=16)
    >>> encoder(torch.zeros(2, 1, 40)).shape, encoder.sizes
    (torch.Size([2, 4, 5]), [21, 10, 5])
    """

    # Noise fills the logarithms of empty bins: at full weight it would drown the rest.
    log_weight = 0.3

    def __init__(
        self,
        n_channels,
        n_timepoints,
        *,
        out_dim,
        n_fft=8,
        hop_length=2,
        max_tokens=32,
        hidden_dim=64,
        n_blocks=2,
    ):
        super().__init__()
        self.stft = STFT(n_fft, hop_length)
        # White noise of unit variance has entries of variance one half: the loss in the
        # time-frequency domain means the same for every window.
        self.scale = self.stft.window.square().sum().rsqrt().item()
        self.sizes = [1 + math.ceil(n_timepoints / hop_length)]
        while self.sizes[-1] > max_tokens:
            self.sizes.append(self.sizes[-1] // 2)
        self.in_channels = 2 * n_channels * (n_fft // 2 + 1)
        n_maps = len(self.sizes) * (1 + n_blocks)
        n_bins = self.in_channels // 2
        self.n_features = 3 * (n_bins + n_maps * hidden_dim) + 7 * out_dim
        self.register_buffer("log_mean", torch.zeros(n_bins, 1))
        self.encoder = Encoder(
            self.in_channels + n_bins, hidden_dim, out_dim, len(self.sizes), n_blocks
        )

    @torch.no_grad()
    def start(self, x):
        """Learn the mean log amplitudes of standardised series (rows, channels, time).

        Left in, they would be the same large number in every frame of every series.
        """
        total = sum(
            self.log_amplitudes(self.spectrogram(rows)).mean(dim=-1).sum(dim=0)
            for rows in x.split(256)
        )  # (bins,)
        self.log_mean += total.unsqueeze(1) / len(x)

    def spectrogram(self, x):
        """(batch, channels, time) -> (batch, in_channels, frames)."""
        return self.scale * self.stft(x).flatten(start_dim=1, end_dim=2)

    def log_amplitudes(self, spectrogram):
        """(batch, in_channels, frames) -> (batch, bins, frames), centred.

        Common logarithms, with a floor at 1e-4 of white noise of variance 1.
        """
        real, imaginary = spectrogram.chunk(2, dim=1)
        power = real.square() + imaginary.square()
        return (power + 1e-8).log10() / 2 - self.log_mean

    def _inputs(self, spectrogram, log_amplitudes):
        return torch.cat([spectrogram, self.log_weight * log_amplitudes], dim=1)

    def activations(self, x):
        """Log amplitudes, output of every stage's entry and blocks, and latent map."""
        spectrogram = self.spectrogram(x)
        log_amplitudes = self.log_amplitudes(spectrogram)
        inputs = self._inputs(spectrogram, log_amplitudes)
        return [log_amplitudes, *self.encoder.activations(inputs)]

    def embed(self, x):
        """All activations, summarised over time: (batch, n_features)."""
        return self.summarize(self.activations(x))

    @staticmethod
    def summarize(activations):
        """The part of :meth:`embed` that follows :meth:`activations`."""
        *blocks, z = activations
        summaries = [summarize(block) for block in blocks]
        return torch.cat([*summaries, summarize_latent(z)], dim=1)

    def latent(self, spectrogram):
        """(batch, in_channels, frames) -> (batch, out_dim, tokens)."""
        log_amplitudes = self.log_amplitudes(spectrogram)
        return self.encoder(self._inputs(spectrogram, log_amplitudes))

    def forward(self, x):
        """(batch, channels, time) -> (batch, out_dim, tokens)."""
        return self.latent(self.spectrogram(x))

    def series(self, spectrogram, n_timepoints):
        """Inverse of :meth:`spectrogram`."""
        n_bins = self.stft.n_fft // 2 + 1
        unscaled = spectrogram.unflatten(1, (-1, n_bins)) / self.scale
        return self.stft.inverse(unscaled, n_timepoints)
