"""Channels decorrelated; level and spread of a series apart from what happens in it."""

from typing import Any

import torch
from torch import Tensor, nn

from sktsrep.nn.remade import arrays_of, remake
from sktsrep.nn.residual_quantizer import ResidualQuantizer
from sktsrep.nn.vector_quantizer import EMAQuantizer

__all__ = ["WindowScaler"]

# Channels are decorrelated where two of them have a larger correlation than this.
_CORRELATED = 0.9

# Levels become tokens where, in some channel, they vary this many times as much as what
# happens within the series.
_DOMINANT = 3.0

# Smallest deviation of a component beside the largest, and of a series beside all:
# anything smaller is rounding.
_LEAST = 1e-3


class WindowScaler(nn.Module):
    """Take from series what would hide their shape, and give it back.

    Windows of a recording differ in level far more than anything happens within one of
    them, and the channels of a recording may be almost the same. A network that sees
    such series learns the levels and what the channels share, and little else. The
    scaler

    - replaces correlated channels by their principal components, all of unit variance;
    - quantizes mean and log deviation of every component, where levels dominate, and
      removes the quantized ones: what quantization leaves stays in the series.

    Parameters
    ----------
    n_channels : int
        Channels of the series.
    n_codes, depth : int
        Codes of a codebook, and codebooks in turn, that level and spread are quantized
        by.

    Attributes
    ----------
    has_levels : bool
        Whether series have tokens for level and spread.

    Examples
    --------
    >>> import torch
    >>> walk = torch.randn(400, 2).cumsum(0).T
    >>> windows = walk.unfold(1, 16, 8).movedim(1, 0)  # (windows, channels, time)
    >>> scaler = WindowScaler(n_channels=2, n_codes=8, depth=2)
    >>> scaler.start(windows)
    >>> rest, tokens = scaler(windows)
    >>> rest.shape, tokens.shape
    (torch.Size([49, 2, 16]), torch.Size([49, 2]))
    >>> torch.allclose(scaler.inverse(rest, tokens), windows, atol=1e-4)
    True
    """

    to_components: Tensor
    to_channels: Tensor
    center: Tensor
    spread: Tensor
    rest_scale: Tensor

    def __init__(self, n_channels: int, n_codes: int, depth: int) -> None:
        super().__init__()
        self.has_levels = False
        self.register_buffer("to_components", torch.eye(n_channels))
        self.register_buffer("to_channels", torch.eye(n_channels))
        self.register_buffer("center", torch.zeros(2 * n_channels))
        self.register_buffer("spread", torch.ones(2 * n_channels))
        self.register_buffer("rest_scale", torch.ones(n_channels, 1))
        self.quantizer = ResidualQuantizer(
            lambda: EMAQuantizer(n_codes, 2 * n_channels), depth
        )

    def __getstate__(self) -> dict[str, Any]:
        """Sizes and arrays, no objects of torch."""
        depth = self.quantizer.depth
        return {
            "sizes": (len(self.to_components), self.quantizer.n_codes // depth, depth),
            "has_levels": self.has_levels,
            "arrays": arrays_of(self),
        }

    def __setstate__(self, state: dict[str, Any]) -> None:
        scaler = remake(lambda: WindowScaler(*state["sizes"]), state["arrays"])
        vars(self).update(vars(scaler))
        self.has_levels = state["has_levels"]

    @property
    def n_features(self) -> int:
        """Features that :meth:`features` gives: 0 without levels."""
        return len(self.center) if self.has_levels else 0

    @torch.no_grad()
    def start(self, x: Tensor) -> None:
        """Learn from standardized series (n_samples, n_channels, time)."""
        self._start_components(x)
        components = _mix(self.to_components, x)
        variance = components.var(dim=2, correction=0).mean(dim=0)  # (n_channels,)
        levels = components.mean(dim=2).var(dim=0, correction=0)
        self.has_levels = bool((levels > _DOMINANT * variance).any())
        if not self.has_levels:
            return
        moments = _moments(components)
        self.center.copy_(moments.mean(dim=0))
        self.spread.copy_(moments.std(dim=0, correction=0).clamp(min=_LEAST))
        self.quantizer.start(self._standardized(moments))
        rest = self._remove(components, self._encode(components))
        scale = rest.square().mean(dim=(0, 2)).sqrt().clamp(min=_LEAST)
        self.rest_scale.copy_(scale.unsqueeze(1))

    def _start_components(self, x: Tensor) -> None:
        values = x.movedim(1, 0).flatten(start_dim=1).double()  # (n_channels, ...)
        covariance = values @ values.T / values.shape[1]
        deviations = covariance.diagonal().clamp(min=1e-12).sqrt()
        correlations = covariance / deviations / deviations.unsqueeze(1)
        if correlations.fill_diagonal_(0).abs().max() <= _CORRELATED:
            return
        variances, directions = torch.linalg.eigh(covariance)
        least = _LEAST**2 * variances.max()
        root = variances.clamp(min=least).sqrt()
        self.to_components.copy_((directions / root).T)
        self.to_channels.copy_(directions * root)

    def _standardized(self, moments: Tensor) -> Tensor:
        return (moments - self.center) / self.spread

    def _encode(self, components: Tensor) -> Tensor:
        vectors = self._standardized(_moments(components)).unsqueeze(2)
        return self.quantizer.encode(vectors)

    def _quantized(self, tokens: Tensor) -> tuple[Tensor, Tensor]:
        """Means and deviations that tokens stand for, (batch, n_channels, 1)."""
        moments = self.quantizer.lookup(tokens)[..., 0] * self.spread + self.center
        means, log_deviations = moments.unsqueeze(2).chunk(2, dim=1)
        return means, log_deviations.exp()

    def _remove(self, components: Tensor, tokens: Tensor) -> Tensor:
        means, deviations = self._quantized(tokens)
        return (components - means) / deviations

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Map series (batch, n_channels, time) to what is left of them, and tokens.

        Returns
        -------
        rest : Tensor of shape (batch, n_channels, time)
        tokens : Tensor of shape (batch, depth) or, without levels, (batch, 0), int64
        """
        components = _mix(self.to_components, x)
        if not self.has_levels:
            no_tokens = torch.zeros(len(x), 0, dtype=torch.int64, device=x.device)
            return components, no_tokens
        tokens = self._encode(components)
        return self._remove(components, tokens) / self.rest_scale, tokens

    def features(self, x: Tensor) -> Tensor:
        """Mean and log deviation of every component: (batch, n_features)."""
        if not self.has_levels:
            return x.new_zeros(len(x), 0)
        return self._standardized(_moments(_mix(self.to_components, x)))

    def inverse(self, rest: Tensor, tokens: Tensor) -> Tensor:
        """Undo :meth:`forward`."""
        if self.has_levels:
            means, deviations = self._quantized(tokens)
            rest = rest * self.rest_scale * deviations + means
        return _mix(self.to_channels, rest)


def _mix(matrix: Tensor, x: Tensor) -> Tensor:
    return torch.einsum("ij,bjt->bit", matrix, x)


def _moments(x: Tensor) -> Tensor:
    """Mean and log deviation by channel, (batch, 2 * n_channels)."""
    variance = x.var(dim=2, correction=0) + _LEAST**2
    return torch.cat([x.mean(dim=2), variance.log() / 2], dim=1)
