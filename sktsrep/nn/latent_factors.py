"""What some places of latent maps tell of the others, without training."""

import torch
from torch import Tensor, nn

__all__ = ["LatentFactors"]

# Variance of the noise at least, as a share of the mean variance.
_LEAST_NOISE = 0.02

_TINY = 1e-6


class LatentFactors(nn.Module):
    """Expect the vectors of hidden places from those of visible ones.

    Latent maps are taken as draws of a Gaussian with few factors, each of which speaks
    of all places: probabilistic principal components [1]_. What a network would need
    many steps to learn, how places go together linearly, is known from the start.

    Three such models are held. The first two learn from one half of the series each,
    and in training expect those of the other half: a model would know too well what it
    has learned from. The last one learns from all, for series that are new.

    Parameters
    ----------
    n_places, dim : int
        Shape of a latent map.
    n_factors : int
        Factors at most; fewer series than that have fewer.

    References
    ----------
    .. [1] Tipping, Bishop 1999, "Probabilistic principal component analysis",
       equations 6 to 8.

    Examples
    --------
    >>> import torch
    >>> factors = LatentFactors(n_places=4, dim=1, n_factors=2)
    >>> z = torch.randn(50, 1, 1).expand(50, 4, 1)  # all places are alike
    >>> present = torch.ones(50, 4, dtype=torch.bool)
    >>> factors.start(z, present, torch.arange(50) % 2 == 0)
    >>> visible = torch.tensor([True, False, False, False]).expand(50, 4)
    >>> expected = factors(z, visible)
    >>> bool((expected[:, 1:] - z[:, :1]).abs().mean() < 0.2)
    True
    """

    mean: Tensor
    loadings: Tensor
    noise: Tensor
    spread: Tensor

    def __init__(self, n_places: int, dim: int, n_factors: int) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(3, n_places, dim))
        self.register_buffer("loadings", torch.zeros(3, n_places, dim, n_factors))
        self.register_buffer("noise", torch.ones(3))
        self.register_buffer("spread", torch.ones(dim))

    @torch.no_grad()
    def start(self, z: Tensor, present: Tensor, in_half: Tensor) -> None:
        """Learn from latent maps.

        Parameters
        ----------
        z : Tensor of shape (n_series, n_places, dim)
            Vectors.
        present : Tensor of shape (n_series, n_places), bool
            False after the end of a series.
        in_half : Tensor of shape (n_series,), bool
            Which of the halves each series is in.
        """
        self.spread.copy_(z[present].std(dim=0, correction=0).clamp(min=_TINY))
        for i, rows in enumerate([in_half, ~in_half, torch.ones_like(in_half)]):
            if rows.any():
                self._start_model(i, z[rows], present[rows])

    def _start_model(self, i: int, z: Tensor, present: Tensor) -> None:
        known = present.unsqueeze(-1).to(z)
        self.mean[i] = (z * known).sum(dim=0) / known.sum(dim=0).clamp(min=1)
        rest = ((z - self.mean[i]) * known).flatten(start_dim=1)
        n_factors = min(self.loadings.shape[-1], *rest.shape)
        _, sizes, directions = torch.svd_lowrank(rest, n_factors, niter=4)
        variances = sizes.square() / len(rest)
        total = rest.square().mean(dim=0).sum()
        even = total / rest.shape[1]
        left = (total - variances.sum()) / rest.shape[1]
        self.noise[i] = torch.maximum(left, _LEAST_NOISE * even).clamp(min=_TINY)
        scale = (variances - self.noise[i]).clamp(min=0).sqrt()
        loadings = (directions * scale).unflatten(0, z.shape[1:])
        self.loadings[i] = 0
        self.loadings[i, ..., :n_factors] = loadings

    @torch.no_grad()
    def forward(
        self, z: Tensor, visible: Tensor, in_half: Tensor | None = None
    ) -> Tensor:
        """Compute the means of vectors given the visible ones.

        Parameters
        ----------
        z : Tensor of shape (batch, n_places, dim)
            Vectors; ignored where not visible.
        visible : Tensor of shape (batch, n_places), bool
            True where a vector may be looked at.
        in_half : Tensor of shape (batch,), bool, default=None
            As for :meth:`start`, of series that it has seen; None for new ones.

        Returns
        -------
        Tensor of shape (batch, n_places, dim)
            In units of the deviation of each entry.
        """
        with torch.autocast(z.device.type, enabled=False):
            z = z.float()
            if in_half is None:
                return self._expected(2, z, visible)
            # Both for all, because to pick rows would wait for a GPU.
            by_others, by_half = (self._expected(i, z, visible) for i in (1, 0))
            return torch.where(in_half[:, None, None], by_others, by_half)

    def _expected(self, i: int, z: Tensor, visible: Tensor) -> Tensor:
        seen = visible.to(z)
        around = (z - self.mean[i]) * seen.unsqueeze(-1)
        loadings = self.loadings[i]
        products = torch.einsum("pdk,pdl->pkl", loadings, loadings)
        precision = torch.einsum("bp,pkl->bkl", seen, products)
        precision.diagonal(dim1=1, dim2=2).add_(self.noise[i])
        weighted = torch.einsum("bpd,pdk->bk", around, loadings).unsqueeze(-1)
        triangle, _ = torch.linalg.cholesky_ex(precision)
        factors = torch.cholesky_solve(weighted, triangle).squeeze(-1)
        expected = torch.einsum("bk,pdk->bpd", factors, loadings)
        return (expected + self.mean[i]) / self.spread
