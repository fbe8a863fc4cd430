"""Loss terms of the variational autoencoder."""

import math

from torch import Tensor

from sktsrep.functional._checks import check_same, check_tensor

__all__ = ["gaussian_kl", "gaussian_nll"]


def gaussian_kl(mean: Tensor, log_variance: Tensor) -> Tensor:
    r"""KL divergence of a diagonal Gaussian from the standard normal, in nats.

    .. math:: \tfrac12 \sum_d (\mu_d^2 + \sigma_d^2 - \log \sigma_d^2 - 1)

    Parameters
    ----------
    mean, log_variance : Tensor of shape (batch, dim)
        Mean and log variance of the posterior.

    Returns
    -------
    Tensor of shape (batch,)

    References
    ----------
    Kingma, Welling 2014, "Auto-encoding variational Bayes", arXiv 1312.6114,
    appendix B.

    Examples
    --------
    >>> import torch
    >>> gaussian_kl(torch.zeros(1, 3), torch.zeros(1, 3))
    tensor([0.])
    """
    check_tensor(mean, "mean", "batch, dim")
    check_tensor(log_variance, "log_variance", "batch, dim")
    check_same(mean, log_variance, "mean and log_variance", dtype=False)
    terms = mean.square() + log_variance.exp() - log_variance - 1
    return 0.5 * terms.sum(dim=-1)


def gaussian_nll(x: Tensor, mean: Tensor, log_variance: Tensor) -> Tensor:
    r"""Negative log density of a Gaussian in nats, summed over all but the first axis.

    Parameters
    ----------
    x, mean : Tensor of shape (batch, ...)
        Data and mean.
    log_variance : Tensor that broadcasts against ``x``
        Logarithm of the variance.

    Returns
    -------
    Tensor of shape (batch,)

    Examples
    --------
    >>> import torch
    >>> gaussian_nll(torch.zeros(1, 2), torch.zeros(1, 2), torch.zeros(()))
    tensor([1.8379])
    """
    check_tensor(x, "x", "batch, time, ...", "real")
    check_tensor(mean, "mean", "batch, time, ...", "real")
    check_tensor(log_variance, "log_variance", "...")
    check_same(x, mean, "x and mean", dtype=False)
    check_same(x, log_variance, "x and log_variance", shape=False, dtype=False)
    sizes = zip(reversed(log_variance.shape), reversed(x.shape), strict=False)
    if log_variance.ndim > x.ndim or any(n not in (1, size) for n, size in sizes):
        raise ValueError(
            f"log_variance must broadcast against the shape {tuple(x.shape)} of x, got "
            f"{tuple(log_variance.shape)} instead."
        )
    squared = (x - mean).square() * (-log_variance).exp()
    nll = 0.5 * (squared + log_variance + math.log(2 * math.pi))
    return nll.flatten(start_dim=1).sum(dim=1)
