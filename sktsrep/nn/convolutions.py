"""Residual convolutions: encoder and decoder of spectrograms."""

import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

__all__ = ["Decoder", "Encoder", "ResidualBlock"]

# Frames that are interpolated by a product with a matrix, at most.
_MOST_MULTIPLIED = 256


def _norm(channels: int) -> nn.GroupNorm:
    # Statistics of one series alone: a row's result cannot depend on its batch. Groups
    # of at least eight channels, where possible: one frame of fewer would say nothing.
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

    worth_compiling = True

    def __init__(self, channels: int, dilation: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            _norm(channels),
            nn.SiLU(),
            nn.Conv1d(channels, channels, 3, padding=dilation, dilation=dilation),
            _norm(channels),
            nn.SiLU(),
            nn.Conv1d(channels, channels, 3, padding=dilation, dilation=dilation),
        )

    def forward(self, x: Tensor) -> Tensor:
        """Map (batch, channels, time) to the same shape."""
        return x + self.layers(x)


def _residual_stage(channels: int, n_blocks: int) -> nn.Sequential:
    return nn.Sequential(*(ResidualBlock(channels, 2**i) for i in range(n_blocks)))


def _interpolate(x: Tensor, size: int) -> Tensor:
    """Interpolate linearly over time.

    Where frames are few, this is a product with a small matrix: on a GPU, torch's own
    kernel takes longer than all else in the decoder.
    """
    if x.shape[-1] > _MOST_MULTIPLIED:
        return F.interpolate(x, size=size, mode="linear")
    identity = torch.eye(x.shape[-1], dtype=x.dtype, device=x.device)
    weights = F.interpolate(identity.unsqueeze(0), size=size, mode="linear")
    return x @ weights[0]


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
        Number of stages. Every one but the first halves the frames, rounding down;
        there must be ``2 ** (n_stages - 1)`` frames or more.
    n_blocks : int
        Residual blocks per stage, with dilations 1, 2, 4, ...

    Examples
    --------
    >>> import torch
    >>> encoder = Encoder(10, hidden_dim=16, out_dim=4, n_stages=3, n_blocks=1)
    >>> encoder(torch.zeros(2, 10, 21)).shape
    torch.Size([2, 4, 5])
    """

    def __init__(
        self,
        in_channels: int,
        hidden_dim: int,
        out_dim: int,
        n_stages: int,
        n_blocks: int,
    ) -> None:
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

    def activations(self, x: Tensor) -> list[Tensor]:
        """List what every stage's entry gives, what every block adds, and the output.

        A block hands on its input: only what it adds is new.
        """
        maps = []
        for stage in self.stages:
            entry, blocks = stage.children()
            x = entry(x)
            maps.append(x)
            for block in blocks.children():
                before, x = x, block(x)
                maps.append(x - before)
        return [*maps, self.head(x)]

    def forward(self, x: Tensor) -> Tensor:
        """Map (batch, in_channels, frames) to (batch, out_dim, places)."""
        for stage in self.stages:
            x = stage(x)
        return self.head(x)


class Decoder(nn.Module):
    """Mirror of :class:`Encoder`: residual stages, each of which doubles the frames.

    Parameters
    ----------
    in_dim : int
        Channels of the latent map.
    hidden_dim : int
        Channels of every stage.
    out_channels : int
        Channels of the spectrogram.
    sizes : sequence of int
        Frames after every stage, from the coarsest to the full spectrogram, unless
        ``forward`` is given others.
    n_blocks : int
        Residual blocks per stage.
    transposed : bool
        Whether frames are doubled by transposed convolutions, which keep more detail
        than interpolation; every size is then half of the next one, rounded down.
        Without, frames are interpolated between stages.

    Examples
    --------
    >>> import torch
    >>> decoder = Decoder(4, hidden_dim=16, out_channels=10, sizes=[10, 21], n_blocks=1)
    >>> decoder(torch.zeros(2, 4, 10)).shape
    torch.Size([2, 10, 21])
    """

    def __init__(
        self,
        in_dim: int,
        hidden_dim: int,
        out_channels: int,
        sizes: Sequence[int],
        n_blocks: int,
        *,
        transposed: bool = True,
    ) -> None:
        super().__init__()
        self.sizes = list(sizes)
        self.entry = nn.Conv1d(in_dim, hidden_dim, 3, padding=1)
        # Mirrors of the encoder's convolutions that halve the frames.
        self.doubling = nn.ModuleList(
            nn.ConvTranspose1d(hidden_dim, hidden_dim, 4, stride=2, padding=1)
            for _ in self.sizes[1 if transposed else len(self.sizes) :]
        )
        self.stages = nn.ModuleList(
            _residual_stage(hidden_dim, n_blocks) for _ in self.sizes
        )
        self.head = nn.Sequential(
            _norm(hidden_dim),
            nn.SiLU(),
            nn.Conv1d(hidden_dim, out_channels, 3, padding=1),
        )

    def forward(self, z: Tensor, sizes: Sequence[int] | None = None) -> Tensor:
        """Map (batch, in_dim, places) to (batch, out_channels, sizes[-1])."""
        x = self.entry(z)
        for i, (size, stage) in enumerate(
            zip(sizes or self.sizes, self.stages, strict=True)
        ):
            if i > 0 and self.doubling:
                x = self.doubling[i - 1](x, output_size=[size])
            elif x.shape[-1] != size:
                x = _interpolate(x, size)
            x = stage(x)
        return self.head(x)
