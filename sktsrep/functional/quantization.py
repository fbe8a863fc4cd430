"""Vector quantization: lookup, losses and use of the codes."""

import torch
import torch.nn.functional as F

__all__ = [
    "codebook_lookup",
    "codebook_loss",
    "commitment_loss",
    "orthogonal_loss",
    "perplexity",
]


def codebook_lookup(z, codebook):
    """Index of the nearest code (Euclidean) for every latent vector.

    Parameters
    ----------
    z : Tensor of shape (..., dim)
        Latent vectors.
    codebook : Tensor of shape (n_codes, dim)
        Codes.

    Returns
    -------
    Tensor of shape (...), int64
        Indices; the lowest one among equally near codes.

    References
    ----------
    van den Oord, Vinyals, Kavukcuoglu 2017, "VQ-VAE", arXiv 1711.00937, equation 1.

    Examples
    --------
    >>> import torch
    >>> codebook_lookup(torch.tensor([[0.9], [0.1]]), torch.tensor([[0.], [1.]]))
    tensor([1, 0])
    """
    # ||z||^2 is the same for every code: what is left is one matrix product.
    flat = z.reshape(-1, z.shape[-1])  # (vectors, dim)
    score = torch.addmm(codebook.square().sum(dim=1), flat, codebook.T, alpha=-2)
    return score.argmin(dim=1).view(z.shape[:-1])


def codebook_loss(z, z_q):
    """Mean squared distance that moves the codes to the encoder's output.

    Parameters
    ----------
    z, z_q : Tensor of any equal shape
        Latent vectors (no gradient) and their codes.

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
    return F.mse_loss(z_q, z.detach())


def commitment_loss(z, z_q):
    """Mean squared distance that keeps the encoder's output near its codes.

    Parameters
    ----------
    z, z_q : Tensor of any equal shape
        Latent vectors and their codes (no gradient).

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
    return F.mse_loss(z, z_q.detach())


def orthogonal_loss(codebook):
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
    n_codes = len(codebook)
    unit = F.normalize(codebook, dim=1)
    identity = torch.eye(n_codes, dtype=codebook.dtype, device=codebook.device)
    return (unit @ unit.T - identity).square().sum() / n_codes**2


def perplexity(counts):
    """Exponential of the entropy of a histogram: the number of codes really in use.

    Parameters
    ----------
    counts : Tensor of shape (n_codes,)
        Non-negative counts.

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
    return torch.special.entr(counts / counts.sum().clamp(min=1e-30)).sum().exp()
