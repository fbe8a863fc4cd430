"""What the training engine asks of a network."""

from torch import Tensor, nn

from sktsrep.nn import Remade

__all__ = ["TrainingModule"]


class TrainingModule(Remade):
    """A network that knows its own loss: ``forward`` returns the terms of one batch.

    The sum of the terms whose name ends in ``_loss`` is minimized; others are only
    recorded.
    """

    def start(self, x: Tensor) -> None:
        """Set what depends on data, such as a codebook, before the first step.

        ``x`` is the first argument of ``forward``, for the whole training data.
        """

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
