"""Vector quantization: lookup, losses and usage of the codes."""

import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from sktsrep.functional._checks import check_levels, check_same, check_tensor

__all__ = [
    "codebook_lookup",
    "codebook_loss",
    "commitment_loss",
    "finite_scalar_round",
    "finite_scalar_tokens",
    "finite_scalar_values",
    "orthogonal_loss",
    "perplexity",
]


def codebook_lookup(z: Tensor, codebook: Tensor) -> Tensor:
    """Find the token of every latent vector: the index of the nearest code.

    Parameters
    ----------
    z : Tensor of shape (..., dim)
        Latent vectors.
    codebook : Tensor of shape (n_codes, dim)
        Codes, compared by Euclidean distance.

    Returns
    -------
    Tensor of shape (...), int64
        Tokens; the lowest one among equally near codes.

    References
    ----------
    van den Oord, Vinyals, Kavukcuoglu 2017, "VQ-VAE", arXiv 1711.00937, equation 1.

    Examples
    --------
    >>> import torch
    >>> codebook_lookup(torch.tensor([[0.9], [0.1]]), torch.tensor([[0.], [1.]]))
    tensor([1, 0])
    """
    check_tensor(z, "z", "..., dim")
    check_tensor(codebook, "codebook", "n_codes, dim")
    check_same(z, codebook, "z and codebook", shape=False)
    if z.shape[-1] != codebook.shape[1]:
        raise ValueError(
            f"codebook must have the dim {z.shape[-1]} of z, got "
            f"{codebook.shape[1]} instead."
        )
    # Without ||z||^2, which is the same for every code, the squared distance takes one
    # matrix product.
    flat = z.reshape(-1, z.shape[-1])  # (vectors, dim)
    # (vectors, n_codes)
    score = torch.addmm(codebook.square().sum(dim=1), flat, codebook.T, alpha=-2)
    return score.argmin(dim=1).view(z.shape[:-1])


def _check_codes(z: Tensor, z_q: Tensor) -> None:
    check_tensor(z, "z", "...")
    check_tensor(z_q, "z_q", "...")
    check_same(z, z_q, "z and z_q")


def codebook_loss(z: Tensor, z_q: Tensor) -> Tensor:
    """Mean squared distance that moves the codes toward the encoder's output.

    Parameters
    ----------
    z, z_q : Tensor of any equal shape
        Latent vectors, which get no gradient, and their codes.

    Returns
    -------
    scalar Tensor

    References
    ----------
    van den Oord et al. 2017, arXiv 1711.00937, equation 3, second term.

    Examples
    --------
    >>> import torch
    >>> codebook_loss(torch.zeros(2, 2), torch.ones(2, 2))
    tensor(1.)
    """
    _check_codes(z, z_q)
    return F.mse_loss(z_q, z.detach())


def commitment_loss(z: Tensor, z_q: Tensor) -> Tensor:
    """Mean squared distance that keeps the encoder's output near its codes.

    Parameters
    ----------
    z, z_q : Tensor of any equal shape
        Latent vectors and their codes, which get no gradient.

    Returns
    -------
    scalar Tensor

    References
    ----------
    van den Oord et al. 2017, arXiv 1711.00937, equation 3, third term.

    Examples
    --------
    >>> import torch
    >>> commitment_loss(torch.zeros(2, 2), torch.ones(2, 2))
    tensor(1.)
    """
    _check_codes(z, z_q)
    return F.mse_loss(z, z_q.detach())


def orthogonal_loss(codebook: Tensor) -> Tensor:
    r"""Orthogonal regularization :math:`\|\hat E \hat E^T - I\|_F^2 / K^2`.

    Parameters
    ----------
    codebook : Tensor of shape (n_codes, dim)
        Codes; their l2-normalized rows are :math:`\hat E`.

    Returns
    -------
    scalar Tensor

    References
    ----------
    Shin et al. 2023, "Exploration into translation-equivariant image quantization",
    arXiv 2112.00384.

    Examples
    --------
    >>> import torch
    >>> orthogonal_loss(3 * torch.eye(4))
    tensor(0.)
    """
    check_tensor(codebook, "codebook", "n_codes, dim")
    n_codes = len(codebook)
    unit = F.normalize(codebook, dim=1)
    identity = torch.eye(n_codes, dtype=codebook.dtype, device=codebook.device)
    return (unit @ unit.T - identity).square().sum() / n_codes**2


def perplexity(counts: Tensor) -> Tensor:
    """Compute the effective number of codes: the exponential of a histogram's entropy.

    Parameters
    ----------
    counts : Tensor of shape (n_codes,)
        Nonnegative number of uses per code.

    Returns
    -------
    scalar Tensor
        Between 1 and ``n_codes``; 1 for an empty histogram.

    Examples
    --------
    >>> import torch
    >>> round(float(perplexity(torch.tensor([5., 5., 0.]))), 4)
    2.0
    """
    check_tensor(counts, "counts", "n_codes", "real")
    total = counts.sum().clamp(min=1e-30)  # positive, even if empty
    entropy: Tensor = torch.special.entr(counts / total).sum()
    return entropy.exp()


def finite_scalar_round(z: Tensor, levels: Sequence[int]) -> Tensor:
    r"""Round bounded numbers to evenly spaced levels, with a straight-through gradient.

    .. math:: 2\,\mathrm{round}\left(\frac{\tanh(z) + 1}{2} (L - 1)\right) / (L - 1) - 1

    Parameters
    ----------
    z : Tensor of shape (..., n_components)
        Any numbers.
    levels : sequence of int
        :math:`L`, the number of levels of every component, each at least 2.

    Returns
    -------
    Tensor of shape (..., n_components)
        Values between -1 and 1; the gradient is that of :math:`\tanh`.

    Notes
    -----
    The paper shifts components with an even number of levels, so that zero is one of
    them. Here the levels are symmetric around zero.

    References
    ----------
    Mentzer et al. 2023, "Finite scalar quantization", arXiv 2309.15505, section 3.

    Examples
    --------
    >>> import torch
    >>> finite_scalar_round(torch.tensor([[-9.0, 0.1], [0.1, 9.0]]), [3, 2])
    tensor([[-1.,  1.],
            [ 0.,  1.]])
    """
    check_tensor(z, "z", "..., n_components")
    check_levels(levels, z)
    top = _vector(levels, z.device).to(z.dtype) - 1
    bounded = z.tanh()
    rounded = 2 * ((bounded + 1) / 2 * top).round() / top - 1
    return bounded + (rounded - bounded).detach()


def finite_scalar_tokens(values: Tensor, levels: Sequence[int]) -> Tensor:
    """Number the combinations of levels.

    The levels are the digits of the token, a number with mixed radix.

    Parameters
    ----------
    values : Tensor of shape (..., n_components)
        Output of :func:`finite_scalar_round`.
    levels : sequence of int
        Number of levels of every component.

    Returns
    -------
    Tensor of shape (...), int64
        Tokens from 0 to the product of ``levels`` minus 1; the first component varies
        fastest.

    Examples
    --------
    >>> import torch
    >>> finite_scalar_tokens(torch.tensor([[-1.0, -1.0], [0.0, 1.0]]), [3, 2])
    tensor([0, 4])
    """
    check_tensor(values, "values", "..., n_components")
    check_levels(levels, values)
    top = _vector(levels, values.device).to(values.dtype) - 1
    digits = ((values + 1) / 2 * top).round().long()  # (..., n_components)
    return (digits * _radix(levels, values.device)).sum(dim=-1)


def finite_scalar_values(tokens: Tensor, levels: Sequence[int]) -> Tensor:
    """Invert :func:`finite_scalar_tokens`.

    Parameters
    ----------
    tokens : Tensor of shape (...), int64
        Tokens.
    levels : sequence of int
        Number of levels of every component.

    Returns
    -------
    Tensor of shape (..., n_components), float32
        Values between -1 and 1.

    Examples
    --------
    >>> import torch
    >>> finite_scalar_values(torch.tensor([0, 4]), [3, 2])
    tensor([[-1., -1.],
            [ 0.,  1.]])
    """
    check_tensor(tokens, "tokens", "...", "int")
    check_levels(levels)
    n_levels = _vector(levels, tokens.device)
    digits = tokens.unsqueeze(-1) // _radix(levels, tokens.device) % n_levels
    return 2 * digits.float() / (n_levels - 1) - 1  # (..., n_components)


def _radix(levels: Sequence[int], device: torch.device) -> Tensor:
    """How much one level up in every component adds to the token."""
    return _vector([math.prod(levels[:i]) for i in range(len(levels))], device)


def _vector(values: Sequence[int], device: torch.device) -> Tensor:
    """Make a vector on the device: a copy from the host would wait for it."""
    return torch.stack([torch.full((), value, device=device) for value in values])
