"""What the training engine asks of a network."""

from functools import partial
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor, nn

from sktsrep.nn import Remade

__all__ = ["TrainingModule"]

# Arguments that come from the samples of a fit, and from other arguments.
_SAMPLE_SHAPE = {"n_channels", "n_timepoints"}


class TrainingModule(Remade):
    """A network that knows its own loss: ``forward`` returns the terms of one batch.

    The sum of the terms whose name ends in ``_loss`` is minimized; others are only
    recorded.

    Attributes
    ----------
    shaped_by : dict of str to str
        Arguments that decide what the tensors are, and the parameters of estimators
        that they come from. A partial stands for its own arguments.
    """

    shaped_by: ClassVar[dict[str, str]] = {}

    def start(self, x: Tensor) -> None:
        """Set what depends on data, such as a codebook, before the first step.

        ``x`` is the first argument of ``forward``, for the whole training data.
        """

    def go_on(self, trained: "TrainingModule") -> None:
        """Take the tensors of a trained network, instead of :meth:`start`.

        Parts that the trained network has dropped keep their own.

        Raises
        ------
        ValueError
            When the networks differ; the error names the parameters of an estimator.
        """
        changed = self._changed(trained)
        own, given = self.state_dict(), trained.state_dict()
        parts = {name.partition(".")[0] for name in given}
        kept = {name: own[name] for name in own if name.partition(".")[0] in parts}
        if changed or _shapes(kept) != _shapes(given):
            raise ValueError(
                "With warm_start, fit goes on with the network of the fit before, but "
                f"{', '.join(changed) or 'other parameters'} would make another one. "
                "Give the former values, or fit a clone."
            )
        self.load_state_dict(own | given)

    def _changed(self, trained: "TrainingModule") -> list[str]:
        """Parameters of estimators by which this network differs from a trained one."""
        if self.made_from is None or trained.made_from is None:
            return []
        now, before = self._shape_of(self.made_from), self._shape_of(trained.made_from)
        return [name for name in now if not _is_same(now[name], before.get(name))]

    def _shape_of(self, arguments: dict[str, Any]) -> dict[str, Any]:
        """Arguments that decide what the tensors are, by parameters of estimators."""
        shape: dict[str, Any] = {}
        for argument, name in self.shaped_by.items():
            value = arguments.get(argument)
            shape |= value.keywords if isinstance(value, partial) else {name: value}
        return {name: shape[name] for name in shape if name not in _SAMPLE_SHAPE}

    def after_step(self, progress: float) -> None:
        """Update what has no gradient; ``progress`` runs from 0 to 1."""

    def finish(self) -> None:
        """Drop what only training needs, once it is over.

        ``made_from`` then has what makes such a network without it.
        """

    def parts_to_compile(self) -> list[nn.Module]:
        """List the blocks that say they are worth :func:`torch.compile`."""
        return [part for part in self.modules() if hasattr(part, "worth_compiling")]

    def epoch_metrics(self) -> dict[str, Tensor]:
        """Compute figures over the epoch just done, and start anew."""
        return {}


def _shapes(tensors: dict[str, Tensor]) -> dict[str, torch.Size]:
    return {name: tensor.shape for name, tensor in tensors.items()}


def _is_same(value: Any, other: Any) -> bool:
    """Whether arguments are equal, also numbers in arrays or parameters of objects."""
    if not hasattr(value, "get_params"):
        return np.array_equal(value, other)
    if type(value) is not type(other):
        return False
    values, others = value.get_params(), other.get_params()
    return all(_is_same(values[name], others[name]) for name in values)
