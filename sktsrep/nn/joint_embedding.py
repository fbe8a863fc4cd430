"""Projector, its last normalization, and moving-average target network."""

import copy
import itertools

import torch
from torch import nn

from sktsrep.functional import iterative_normalization

__all__ = ["IterNorm", "MovingAverage", "Projector"]


class IterNorm(nn.Module):
    """Iterative normalization: whitening by Newton's method, with running averages.

    Parameters
    ----------
    features : int
        Number of features.
    n_iterations : int
        Newton iterations.
    group_size : int
        Features are whitened in groups of at most this many, as in the authors' code.
        With fewer rows than that, any batch can be made white.
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
        # The fewest equal groups whose size does not exceed the limit.
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


class Projector(nn.Sequential):
    """Linear layers with batch normalization and ReLU in between.

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
            # The normalization's shift makes a bias useless.
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
