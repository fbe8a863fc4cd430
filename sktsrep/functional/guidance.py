"""Classifier-free guidance: hide classes in training, weigh scores in sampling."""

import torch
from torch import Tensor

from sktsrep.functional._checks import (
    check_count,
    check_generator,
    check_number,
    check_same,
    check_tensor,
)

__all__ = ["drop_classes", "guide"]


def drop_classes(
    classes: Tensor,
    probability: float,
    no_class: int,
    *,
    generator: torch.Generator | None = None,
) -> Tensor:
    """Replace some class indices by the one that means "no class".

    Parameters
    ----------
    classes : Tensor of shape (batch,), int64
        Class indices.
    probability : float
        Probability of hiding a class, between 0 and 1.
    no_class : int
        What a hidden class becomes.
    generator : torch.Generator, default=None
        Source of the random numbers; None is torch's global one.

    Returns
    -------
    Tensor of shape (batch,), int64

    References
    ----------
    Ho, Salimans 2022, "Classifier-free diffusion guidance", arXiv 2207.12598, section
    3.2.

    Examples
    --------
    >>> import torch
    >>> drop_classes(torch.tensor([0, 1]), probability=1.0, no_class=2)
    tensor([2, 2])
    """
    check_tensor(classes, "classes", "batch", "int")
    check_number(probability, "probability", 0, 1)
    check_count(no_class, "no_class", 0)
    check_generator(generator, classes.device)
    if not probability:
        return classes
    draws = torch.rand(len(classes), device=classes.device, generator=generator)
    hidden = torch.full_like(classes, no_class)
    return torch.where(draws < probability, hidden, classes)


def guide(with_class: Tensor, without: Tensor, scale: float) -> Tensor:
    """Move scores from those without a class towards those with it, or beyond.

    Parameters
    ----------
    with_class, without : Tensor of shape (..., n_codes)
        Scores of the codes with and without the class.
    scale : float
        0 ignores the class, 1 is the class-conditional distribution, more than 1
        exaggerates it.

    Returns
    -------
    Tensor of shape (..., n_codes)

    References
    ----------
    Ho, Salimans 2022, "Classifier-free diffusion guidance", arXiv 2207.12598, equation
    6, with ``scale`` for one plus its weight.

    Examples
    --------
    >>> import torch
    >>> guide(torch.tensor([2.0]), torch.tensor([1.0]), scale=3.0)
    tensor([4.])
    """
    check_tensor(with_class, "with_class", "..., n_codes")
    check_tensor(without, "without", "..., n_codes")
    check_same(with_class, without, "with_class and without")
    check_number(scale, "scale", 0)
    return torch.lerp(without, with_class, scale)
