"""Modules made anew from the arguments of their constructor, and filled with arrays."""

import math
from collections.abc import Callable, Mapping
from typing import Any, Self

import numpy as np
import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

__all__ = ["Remade", "arrays_of", "remake", "unfilled"]

_MAKERS = {torch.empty, torch.zeros, torch.ones, torch.randn, torch.eye}
_DRAWS = {torch.Tensor.normal_, torch.Tensor.uniform_}


class Remade(nn.Module):
    """Base of the modules that know what they were made from.

    Attributes
    ----------
    made_from : dict or None
        Arguments of the constructor by name; None where some came without name.

    Examples
    --------
    >>> class Affine(Remade):
    ...     def __init__(self, *, n_inputs):
    ...         super().__init__()
    ...         self.layer = nn.Linear(n_inputs, 1)
    >>> Affine(n_inputs=3).made_from
    {'n_inputs': 3}
    """

    made_from: dict[str, Any] | None

    def __new__(cls, *args: Any, **arguments: Any) -> Self:
        module = super().__new__(cls)
        # Not by setattr, which needs what the constructor has yet to make.
        vars(module)["made_from"] = None if args else arguments
        return module


def arrays_of(module: nn.Module) -> dict[str, np.ndarray]:
    """Collect the parameters and buffers of a module, on the host.

    Parameters
    ----------
    module : nn.Module
        The module.

    Returns
    -------
    dict of str to ndarray

    Examples
    --------
    >>> {name: array.shape for name, array in arrays_of(nn.Linear(3, 2)).items()}
    {'weight': (2, 3), 'bias': (2,)}
    """
    return {name: t.numpy(force=True) for name, t in module.state_dict().items()}


class _Unfilled(TorchFunctionMode):
    """Draw no weights, and refuse to make much more than there is to fill.

    Sizes may come from a file that lies: they are looked at before memory is taken.
    """

    def __init__(self, arrays: Mapping[str, np.ndarray]) -> None:
        super().__init__()
        # Some tensors are computed, not stored.
        self.n_tensors = 64 + 2 * len(arrays)
        self.n_numbers = 4096 + 2 * sum(array.size for array in arrays.values())

    def __torch_function__(
        self,
        function: Callable[..., Any],
        types: Any,
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        kwargs = kwargs or {}
        if getattr(function, "__module__", None) == "torch.nn.init":
            return args[0] if args else kwargs["tensor"]
        if function in _DRAWS:
            return args[0].zero_()
        if function in _MAKERS:
            self._count(function, args)
            function = torch.zeros if function is torch.randn else function
        return function(*args, **kwargs)

    def _count(self, function: Callable[..., Any], args: tuple[Any, ...]) -> None:
        sizes = args if isinstance(args[0], int) else args[0]
        power = 2 if function is torch.eye else 1
        self.n_numbers -= math.prod(sizes) ** power
        self.n_tensors -= 1
        if min(self.n_numbers, self.n_tensors) < 0:
            raise ValueError("A network would be larger than the arrays that fill it.")


def unfilled(
    make: Callable[[], nn.Module], arrays: Mapping[str, np.ndarray]
) -> nn.Module:
    """Make a module on the CPU whose parameters are yet to be filled.

    Torch's random state stays as it is.

    Parameters
    ----------
    make : callable
        Makes the module, without arguments.
    arrays : dict of str to ndarray
        What is to fill it.

    Returns
    -------
    nn.Module

    Raises
    ------
    ValueError
        When names or shapes are not those of the module.

    Examples
    --------
    >>> unfilled(lambda: nn.Linear(3, 2), arrays_of(nn.Linear(3, 2)))
    Linear(in_features=3, out_features=2, bias=True)
    """
    with torch.inference_mode(False), torch.device("cpu"), _Unfilled(arrays):
        module = make()
    state = module.state_dict()
    if state.keys() != arrays.keys():
        names = sorted(state.keys() ^ arrays.keys())
        raise ValueError(f"A network and its arrays differ in {', '.join(names[:5])}.")
    for name, tensor in state.items():
        array = arrays[name]
        kind = np.dtype(np.float32 if tensor.is_floating_point() else np.int64)
        if array.shape != tuple(tensor.shape) or array.dtype != kind:
            raise ValueError(
                f"{name} must be {kind} of shape {tuple(tensor.shape)}, got "
                f"{array.dtype} of shape {array.shape}."
            )
    return module


def remake(
    make: Callable[[], nn.Module], arrays: Mapping[str, np.ndarray]
) -> nn.Module:
    """Make a module on the CPU and fill it.

    Parameters
    ----------
    make : callable
        Makes the module, without arguments.
    arrays : dict of str to ndarray
        Its parameters and buffers, as :func:`arrays_of` gives them. They are copied.

    Returns
    -------
    nn.Module
        In evaluation mode.

    Raises
    ------
    ValueError
        When names or shapes are not those of the module.

    Examples
    --------
    >>> layer = nn.Linear(3, 2)
    >>> again = remake(lambda: nn.Linear(3, 2), arrays_of(layer))
    >>> torch.equal(again.weight, layer.weight)
    True
    """
    module = unfilled(make, arrays)
    with torch.inference_mode(False), torch.device("cpu"):
        filling: dict[str, Tensor] = {
            name: torch.tensor(array) for name, array in arrays.items()
        }
        module.load_state_dict(filling, assign=True)
    return module.eval()
