"""The supervised network whose features published Frechet distances stand on."""

import numpy as np
import torch
import torch.nn.functional as F
from sklearn.base import ClassNamePrefixFeaturesOutMixin, TransformerMixin, _fit_context
from sklearn.callback import with_callbacks
from torch import nn

from sktsrep._net import fit_net, resolve_device
from sktsrep._validation import class_indices, validate_series
from sktsrep.base import (
    SeriesClassifier,
    TorchEstimator,
    all_or_nothing,
    as_series,
    random_seed,
    to_tensor,
)
from sktsrep.nn import TrainingModule

__all__ = ["FCNClassifier"]

_WIDTHS = (128, 256, 128)
_KERNEL_SIZES = (8, 5, 3)


class _Body(nn.Sequential):
    """Three convolutions, batch norms and ReLUs, pooled over time."""

    def __init__(self, n_channels):
        layers = []
        for width, size in zip(_WIDTHS, _KERNEL_SIZES, strict=True):
            layers += [
                nn.ConstantPad1d(((size - 1) // 2, size // 2), 0.0),
                nn.Conv1d(n_channels, width, size),
                nn.BatchNorm1d(width),
                nn.ReLU(),
            ]
            n_channels = width
        super().__init__(*layers)

    def forward(self, x):
        """(batch, channels, time) -> (batch, 128)."""
        return super().forward(x).float().mean(dim=-1)


class _FCN(TrainingModule):
    """Convolutions and a linear head; ``forward`` gives the cross-entropy."""

    def __init__(self, *, n_channels, n_classes):
        super().__init__()
        self.body = _Body(n_channels)
        self.head = nn.Linear(_WIDTHS[-1], n_classes)

    def parts_to_compile(self):
        return [self.body]

    def logits(self, x):
        """(batch, channels, time) -> (batch, n_classes)."""
        return self.head(self.body(x)).float()

    def forward(self, x, y):
        """Cross-entropy of standardized series and class indices."""
        return {"classification_loss": F.cross_entropy(self.logits(x), y)}


class FCNClassifier(
    ClassNamePrefixFeaturesOutMixin, TransformerMixin, SeriesClassifier
):
    """Fully convolutional network of Wang et al.: classes, and features of series.

    Convolutions of 128, 256 and 128 channels and kernels of 8, 5 and 3 timepoints, each
    with batch norm and ReLU, global average pooling and a linear head [1]_. Trained on
    the training part only, its pooled features are what published Frechet distances and
    inception scores of time series are computed with.

    Parameters
    ----------
    max_epochs : int or "auto", default="auto"
        Passes over the data; "auto" makes about 500 optimizer steps, of large data
        up to 1250, fourteen passes.
    batch_size : int, default=64
        Series a step.
    lr : float, default=1e-3
        Learning rate of AdamW at the start; it falls to zero on a cosine.
    weight_decay : float, default=1e-4
        Of AdamW.
    gradient_clip : float, default=1.0
        Largest norm of the gradient; None for no limit.
    early_stopping : bool, default=False
        Whether to stop when the loss of held-out series stops falling, and keep the
        best weights.
    validation_fraction : float, default=0.1
        Share of series held out for it.
    n_iter_no_change : int, default=10
        Epochs without a lower validation loss before it stops.
    amp : bool, default=False
        Forward passes in bfloat16 where torch deems it safe.
    compile : bool, default=False
        Compile the network with :func:`torch.compile`.
    device : str or torch.device, default="auto"
        "auto" is CUDA where there is one.
    random_state : int, RandomState instance or None, default=None
        Decides weights and batches.
    verbose : int, default=0
        Whether to print a line an epoch.
    callbacks : list of skorch callbacks, default=None
        Called during training. Scikit-learn's go to ``set_callbacks``.

    Attributes
    ----------
    net_ : SeriesNet
        The trained skorch net; ``net_.module_`` is the torch module.
    classes_ : ndarray of shape (n_classes,)
        The labels.
    history_ : DataFrame
        One row an epoch: the loss in nats, and seconds.
    n_iter_ : int
        Epochs trained.
    mean_, scale_ : ndarray of shape (n_channels, 1)
        Mean and standard deviation of the training data, by channel.
    sample_shape_ : tuple of int
        Shape of one sample in ``fit``.
    n_features_in_ : int
        Size of the second axis in ``fit``.
    feature_names_in_ : ndarray of shape (n_features_in_,)
        Only when ``X`` has feature names that are all strings.

    See Also
    --------
    sktsrep.metrics.frechet_distance : Takes it as ``features``, in a
        :class:`~sklearn.frozen.FrozenEstimator`.

    References
    ----------
    .. [1] Wang, Yan, Oates 2017, "Time series classification from scratch with deep
       neural networks", arXiv 1611.06455.

    Examples
    --------
    >>> import numpy as np
    >>> from sktsrep.fcn import FCNClassifier
    >>> y = np.arange(20) % 2
    >>> X = np.sin(np.linspace(0, 9, 48) * (1 + y[:, None]) + np.arange(20)[:, None])
    >>> network = FCNClassifier(max_epochs=10, random_state=0, device="cpu").fit(X, y)
    >>> network.predict_proba(X).shape, network.transform(X).shape
    ((20, 2), (20, 128))
    """

    _auto_steps = 500

    _parameter_constraints = {**TorchEstimator._parameter_constraints}

    def __init__(
        self,
        *,
        max_epochs="auto",
        batch_size=64,
        lr=1e-3,
        weight_decay=1e-4,
        gradient_clip=1.0,
        early_stopping=False,
        validation_fraction=0.1,
        n_iter_no_change=10,
        amp=False,
        compile=False,
        device="auto",
        random_state=None,
        verbose=0,
        callbacks=None,
    ):
        self.max_epochs = max_epochs
        self.batch_size = batch_size
        self.lr = lr
        self.weight_decay = weight_decay
        self.gradient_clip = gradient_clip
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.n_iter_no_change = n_iter_no_change
        self.amp = amp
        self.compile = compile
        self.device = device
        self.random_state = random_state
        self.verbose = verbose
        self.callbacks = callbacks

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.transformer_tags.preserves_dtype = ["float32"]
        return tags

    @_fit_context(prefer_skip_nested_validation=False)
    @all_or_nothing
    @with_callbacks
    def fit(self, X, y):
        """Train the network on labelled series.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_timepoints) or (n_samples, n_channels, \
                n_timepoints)
            Series.
        y : array-like of shape (n_samples,)
            Class labels.

        Returns
        -------
        self
        """
        device = resolve_device(self.device)
        X, y = validate_series(self, X, y, reset=True)
        if X.ndim == 4:
            raise ValueError(
                f"Found array with dim 4. {type(self).__name__} expected <= 3: series."
            )
        self.classes_, indices = class_indices(y)
        series = as_series(to_tensor(X, device)).double()
        self.mean_ = series.mean(dim=(0, 2)).unsqueeze(1).cpu().numpy()
        scale = series.std(dim=(0, 2), correction=0).unsqueeze(1).cpu().numpy()
        rounding = 1e-6 * np.abs(self.mean_)  # what a constant series may be left with
        self.scale_ = np.where(scale > rounding, scale, 1.0)
        fit_net(
            self,
            _FCN,
            dict(n_channels=series.shape[1], n_classes=len(self.classes_)),
            [self._prepare(series), torch.tensor(indices, device=device)],
            random_seed(self.random_state),
        )
        return self

    @property
    def _n_features_out(self):
        return _WIDTHS[-1]

    def _prepare(self, x):
        """Standardized float32 series (batch, channels, time)."""
        mean = torch.as_tensor(self.mean_, device=x.device)
        scale = torch.as_tensor(self.scale_, device=x.device)
        return ((as_series(x).double() - mean) / scale).float()

    def _apply(self, X, function):
        rows = to_tensor(self._check(X), "cpu")
        return self._predict_chunks(lambda x: function(self._prepare(x)), rows).numpy()

    def transform(self, X):
        """Features before the head, pooled over time.

        Parameters
        ----------
        X : array-like of the shape that ``fit`` saw
            Series.

        Returns
        -------
        ndarray of shape (n_samples, 128), float32
        """
        return self._apply(X, lambda x: self._module.body(x))

    def predict_proba(self, X):
        """Probabilities of the classes.

        Parameters
        ----------
        X : array-like of the shape that ``fit`` saw
            Series.

        Returns
        -------
        ndarray of shape (n_samples, n_classes)
        """
        return self._apply(X, lambda x: self._module.logits(x).double().softmax(dim=1))
