"""The supervised network behind published Frechet distances."""

import functools

import numpy as np
from sklearn.base import ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.utils.validation import _check_sample_weight

from sktsrep._base import SeriesClassifier
from sktsrep._device import as_series, resolve_device, to_device
from sktsrep._fit import learned_once, training_fit
from sktsrep._gaps import bridge, channel_moments
from sktsrep._storage import stored
from sktsrep._validation import check_n_axes, class_indices
from sktsrep.networks import FullyConvolutionalNetwork

__all__ = ["FCNClassifier"]


class FCNClassifier(
    ClassNamePrefixFeaturesOutMixin, TransformerMixin, SeriesClassifier
):
    """Fully convolutional network of Wang et al.: classes, and features of series.

    Convolutions of 128, 256 and 128 channels and kernels of 8, 5 and 3 timepoints, each
    with batch norm and ReLU, global average pooling and a linear head [1]_. Published
    Frechet distances and inception scores of time series use its pooled features,
    trained on the training part only.

    Parameters
    ----------
    max_epochs : int or "auto", default="auto"
        Passes over the data; 0 leaves the network untrained. "auto" makes about 500
        optimizer steps, and up to 1250 on large data, to reach 14 passes.
    batch_size : int, default=64
        Series per step.
    lr : float, default=1e-3
        Learning rate of AdamW at the start; it falls to zero on a cosine.
    weight_decay : float, default=1e-4
        Weight decay of AdamW; a codebook has none.
    early_stopping : bool or int, default=False
        Whether to stop when the loss of held-out series no longer falls, with the best
        weights. An int is the number of epochs to wait; True waits 10.
    validation_fraction : float, "auto" or None, default="auto"
        Share of series that are held out of the training; ``history_`` has their loss
        as ``valid_loss``. They are random ones, in equal shares of the classes. "auto"
        is 0.1 with early stopping and none without, because labels are few. None holds
        out none.
    amp : bool, default=False
        Whether forward passes run in bfloat16 where torch deems it safe.
    compile : bool, default=False
        Whether to compile the network's blocks with :func:`torch.compile`.
    device : str or torch.device, default="auto"
        Where to compute; "auto" is CUDA when available.
    random_state : int, RandomState instance or None, default=None
        Decides everything random in ``fit``, and in methods that are given no other.
    verbose : int, default=0
        Whether to print a line per epoch.
    callbacks : list of skorch callbacks, default=None
        Called during training. Those of scikit-learn 1.9 or newer go to
        ``set_callbacks``.
    checkpoint : str or path-like, default=None
        File that has the state of the training: after every epoch, every second where
        epochs are shorter, and every 30 seconds within longer ones. What is fitted
        first, such as a tokenizer, has one beside it, which ends in ``.first``. A fit
        with the same data and parameters goes on from it, and ends with the same bits
        as one that was never stopped; with others it raises. Needs a ``random_state``
        that is an int. It stays after the fit.
    warm_start : bool, default=False
        Whether a second ``fit`` goes on from the weights of the first, as when new data
        arrive every month. It keeps window, scaling, codebook, classes, and the fitted
        encoder or tokenizer that the estimator holds. Samples must have the same shape,
        labels must be known, and parameters that shape the network must not change.
        Optimizer, schedule and what an objective trains beside the encoder start anew;
        ``history_`` and ``n_iter_`` are those of the last fit. A clone starts afresh.

    Attributes
    ----------
    net_ : SeriesNet
        The trained skorch net; ``net_.module_`` is the torch module.
    classes_ : ndarray of shape (n_classes,)
        The labels.
    history_ : DataFrame
        One row per epoch: the loss in nats, and its duration ``dur`` in seconds.
    n_iter_ : int
        Epochs trained.
    mean_, scale_ : ndarray of shape (n_channels, 1)
        Mean and standard deviation of the training data, by channel.
    sample_shape_ : tuple of int
        Shape of one sample in ``fit``.
    n_features_in_ : int
        Size of the second axis in ``fit``.
    feature_names_in_ : ndarray of shape (`n_features_in_`,)
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
    _takes_gaps = True

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.transformer_tags.preserves_dtype = ["float32"]
        return tags

    @training_fit
    def fit(self, X, y, sample_weight=None):
        """Train the network on labelled series.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_timepoints) or (n_samples, n_channels, \
                n_timepoints)
            Series. A list may hold series of unequal length. NaN means missing or,
            after the end of a series, not there.
        y : array-like of shape (n_samples,)
            Class labels.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the series in the loss; None for equal ones.

        Returns
        -------
        self
        """
        device = resolve_device(self.device)
        X, y = self._validate_training(X, y)
        check_n_axes(X, type(self).__name__, 3)
        self.classes_, indices = class_indices(y, self._known_classes)
        lengths = self._whole_lengths(X)
        X = bridge(X)
        low, high = self._fit_bounds(X)
        chunks = map(as_series, self._tensor_chunks(X))
        parts = (self._clip(x.clamp(low.to(x), high.to(x))) for x in chunks)
        series = stored(parts, len(X), device)
        self._fit_scale(series, lengths)
        series = self._standardize_all(series, device)
        make_network = functools.partial(
            FullyConvolutionalNetwork,
            n_channels=series.shape[1],
            n_classes=len(self.classes_),
        )
        weight = _check_sample_weight(sample_weight, X, ensure_non_negative=True)
        tensors = to_device(series.device, indices, weight.astype(np.float32))
        tensors = [series, *tensors]
        self._train(make_network, tensors, X, lengths=lengths, labels=indices)
        return self

    @learned_once
    def _fit_scale(self, series, lengths):
        mean, scale = channel_moments(series, lengths)
        self.mean_, self.scale_ = mean.cpu().numpy(), scale.cpu().numpy()

    @property
    def _n_features_out(self):
        return self._module.n_features

    def _prepare(self, x):
        """Standardized float32 series (batch, channels, time)."""
        return self._standardize(self._clip(as_series(x)))

    def _standardize(self, series):
        mean, scale = to_device(series.device, self.mean_, self.scale_)
        return ((series.double() - mean) / scale).float()

    def transform(self, X):
        """Compute the features before the head, pooled over time.

        Parameters
        ----------
        X : array-like of the shape that ``fit`` saw, or list of arrays
            Series. Those in a list may have any length.

        Returns
        -------
        ndarray of shape (n_samples, 128), float32
        """
        X, module = self._check(X), self._module
        return self._apply(module.body, X)

    def predict_proba(self, X):
        """Predict the probabilities of the classes.

        Parameters
        ----------
        X : array-like of the shape that ``fit`` saw, or list of arrays
            Series. Those in a list may have any length.

        Returns
        -------
        ndarray of shape (n_samples, n_classes)
        """
        X, module = self._check(X), self._module
        return self._apply(lambda x: module.logits(x).double().softmax(dim=1), X)
