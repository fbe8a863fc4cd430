"""Joint embedding: projector, its last normalization, moving-average target."""

import copy
import itertools
from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from sktsrep._ranks import gather, share
from sktsrep.functional import iterative_normalization
from sktsrep.nn.pooling import Pool, pool

__all__ = [
    "IterNorm",
    "JointEmbedding",
    "MovingAverage",
    "ObjectiveNetwork",
    "Projector",
]


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

    mean: Tensor
    whitening: Tensor

    def __init__(
        self,
        features: int,
        n_iterations: int = 5,
        group_size: int = 64,
        momentum: float = 0.1,
    ) -> None:
        super().__init__()
        self.n_iterations = n_iterations
        self.momentum = momentum
        # The fewest equal groups whose size does not exceed the limit.
        sizes = [n for n in range(1, group_size + 1) if features % n == 0]
        size, n_groups = sizes[-1], features // sizes[-1]
        self.register_buffer("mean", torch.zeros(n_groups, size))
        self.register_buffer("whitening", torch.eye(size).repeat(n_groups, 1, 1))

    def forward(self, z: Tensor) -> Tensor:
        """Map (batch, features) to the same shape."""
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

    def __init__(self, dims: Sequence[int], last_norm: nn.Module | None = None) -> None:
        *inner, last = itertools.pairwise(dims)
        layers: list[nn.Module] = []
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

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self.module = copy.deepcopy(module).requires_grad_(False)

    @torch.no_grad()
    def forward(self, *args: Tensor) -> Tensor:
        """Compute the copy's output, without gradient."""
        return self.module(*args)

    @torch.no_grad()
    def follow(self, online: nn.Module, momentum: float) -> None:
        """Move: ``target <- momentum * target + (1 - momentum) * online``."""
        kept, given = _tensors(self.module), _tensors(online)
        averaged = [i for i, x in enumerate(kept) if x.is_floating_point()]
        torch._foreach_lerp_(  # as torch.optim.swa_utils
            [kept[i] for i in averaged], [given[i] for i in averaged], 1 - momentum
        )
        for target, source in zip(kept, given, strict=True):
            if not target.is_floating_point():
                target.copy_(source)


def _tensors(module: nn.Module) -> list[Tensor]:
    return [*module.parameters(), *module.buffers()]


class ObjectiveNetwork(nn.Module):
    """Base of what an objective trains beside the encoder.

    ``forward(z, z_prime, view, view_prime)`` takes two feature maps (batch, n_channels,
    time) and the views that they came from. It returns the arguments of the
    objective's ``terms`` as a tuple. What it stores there should depend on
    ``self.training``: there are passes in evaluation mode, on held-out series and after
    the last step.
    """

    def start(self, encoder: nn.Module) -> None:
        """Begin, once the encoder has started from the data."""

    def follow(self, encoder: nn.Module, progress: float) -> None:
        """Update what has no gradient after a step, such as a moving average.

        ``progress`` runs from 0 to 1 over the training.
        """


class _ViewProjector(nn.Sequential):
    """Encoder, pool and projector. Every process encodes its share of the views."""

    def forward(self, view: Tensor) -> Tensor:
        encoder, to_features, projector = self
        features = gather(to_features(encoder(share(view))), len(view))
        return projector(features)


class JointEmbedding(ObjectiveNetwork):
    """Project two views' feature maps, and have a target network project the views.

    Feature maps are pooled over time (mean and maximum) before they are projected.

    Parameters
    ----------
    encoder : nn.Module
        Maps a view to its feature map (batch, n_channels, time). It is not trained from
        here: the target network is a copy of it.
    projector : nn.Module
        Maps pooled features (batch, 2 * n_channels) to projections.
    predictor : nn.Module or None
        Stands on top of the projector, but not in the target network.
    target_momentum : callable or None
        Gives the target's moving-average factor from the progress of training, between
        0 and 1. None is for methods without a target network.

    Examples
    --------
    >>> import torch
    >>> encoder = torch.nn.Conv1d(1, 3, kernel_size=1)
    >>> network = JointEmbedding(encoder, Projector([6, 8]))
    >>> view, other = torch.randn(2, 4, 1, 6)
    >>> [p.shape for p in network(encoder(view), encoder(other), view, other)]
    [torch.Size([4, 8]), torch.Size([4, 8])]
    """

    def __init__(
        self,
        encoder: nn.Module,
        projector: nn.Module,
        predictor: nn.Module | None = None,
        target_momentum: Callable[[float], float | None] | None = None,
    ) -> None:
        super().__init__()
        self.projector = projector
        self.predictor = predictor
        self.target_momentum = target_momentum
        self.target = None
        if target_momentum is not None:
            self.target = MovingAverage(self._online(encoder))

    def _online(self, encoder: nn.Module) -> nn.Module:
        return _ViewProjector(encoder, Pool(), self.projector)

    def forward(
        self, z: Tensor, z_prime: Tensor, view: Tensor, view_prime: Tensor
    ) -> tuple[Tensor, ...]:
        """Project the feature maps that the encoder gave for two views.

        Returns
        -------
        tuple of Tensor, each of shape (batch, features)
            Two projections and, with a target network, its two projections.
        """
        p, p_prime = self.projector(pool(z)), self.projector(pool(z_prime))
        if self.predictor is not None:
            p, p_prime = self.predictor(p), self.predictor(p_prime)
        if self.target is None:
            return p, p_prime
        return p, p_prime, self.target(view), self.target(view_prime)

    def start(self, encoder: nn.Module) -> None:
        """Make the target network equal to the encoder and the projector."""
        if self.target is not None:
            self.target.follow(self._online(encoder), momentum=0.0)

    def follow(self, encoder: nn.Module, progress: float) -> None:
        """Move the target network towards the encoder and the projector."""
        momentum = self.target_momentum and self.target_momentum(progress)
        if self.target is not None and momentum is not None:
            self.target.follow(self._online(encoder), momentum)
