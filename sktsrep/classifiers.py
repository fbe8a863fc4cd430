"""Fine-tuning: a classifier that starts from a pre-trained encoder."""

import copy
import functools
from numbers import Integral, Real

import numpy as np
from sklearn.utils._param_validation import (
    HasMethods,
    Interval,
    InvalidParameterError,
    StrOptions,
)
from sklearn.utils.class_weight import compute_class_weight
from sklearn.utils.validation import _check_sample_weight

from sktsrep._base import SeriesClassifier, TorchEstimator
from sktsrep._device import apply_in_chunks, resolve_device, to_device
from sktsrep._fit import fitted_copy, training_fit
from sktsrep._spectral import SpectralEstimator
from sktsrep._storage import row_blocks, stored
from sktsrep._training import freeze
from sktsrep._validation import class_indices, labeled_rows
from sktsrep.encoders import SSLEncoder
from sktsrep.networks import FineTunedNetwork

__all__ = ["FineTunedClassifier"]


class FineTunedClassifier(SeriesClassifier):
    """Classifier that trains a pre-trained encoder further, end to end, with labels.

    Parameters
    ----------
    encoder : SSLEncoder, SSLVQTokenizer, VAE, FrozenEstimator of one, or None, \
            default=None
        Where the convolutions start. A fitted encoder in a
        :class:`~sklearn.frozen.FrozenEstimator` is used as it is: its weights are
        copied, so it is never changed itself. Of any other encoder, fitted or not, a
        clone is fitted on the training series first. None is ``SSLEncoder()`` on the
        classifier's device. With few series of one channel, start from
        ``FrozenEstimator(SSLEncoder.from_pretrained())``, and resample series to 256
        timepoints of mean 0 and deviation 1.
    freeze_epochs : int, default=0
        Epochs at the start in which only the head is trained.
    backbone_rate : float, default=0.1
        Learning rate of the encoder as a multiple of ``lr``.
    class_weight : dict, "balanced" or None, default=None
        Weights of the classes, as in scikit-learn's classifiers. They multiply those of
        the samples.
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
    encoder_ : estimator
        The fitted encoder that training started from.
    classes_ : ndarray of shape (n_classes,)
        The labels, without the -1 of unlabeled series.
    history_ : DataFrame
        One row per epoch: the loss in nats, and its duration ``dur`` in seconds.
    n_iter_ : int
        Epochs trained.
    sample_shape_ : tuple of int
        Shape of one sample in ``fit``.
    n_features_in_ : int
        Size of the second axis in ``fit``.
    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Only when ``X`` has feature names that are all strings.

    Notes
    -----
    The frozen protocol needs no estimator of its own: it is a pipeline of an encoder
    and a linear model.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.frozen import FrozenEstimator
    >>> from sktsrep.classifiers import FineTunedClassifier
    >>> from sktsrep.encoders import SSLEncoder
    >>> y = np.arange(20) % 2
    >>> X = np.sin(np.linspace(0, 9, 48) * (1 + y[:, None]) + np.arange(20)[:, None])
    >>> encoder = SSLEncoder(hidden_dim=8, max_epochs=2, random_state=0, device="cpu")
    >>> pretrained = FrozenEstimator(encoder.fit(X))
    >>> classifier = FineTunedClassifier(
    ...     pretrained, max_epochs=20, lr=1e-2, random_state=0, device="cpu"
    ... )
    >>> classifier.fit(X, y).predict_proba(X).shape
    (20, 2)
    """

    _auto_steps = 500
    _takes_gaps = True

    _parameter_constraints = {
        "encoder": [HasMethods("fit"), None],
        "freeze_epochs": [Interval(Integral, 0, None, closed="left")],
        "backbone_rate": [Interval(Real, 0, None, closed="left")],
        "class_weight": [dict, StrOptions({"balanced"}), None],
        **TorchEstimator._parameter_constraints,
    }

    def __init__(
        self,
        encoder=None,
        *,
        freeze_epochs=0,
        backbone_rate=0.1,
        class_weight=None,
        max_epochs="auto",
        batch_size=64,
        lr=1e-3,
        weight_decay=1e-4,
        early_stopping=False,
        validation_fraction="auto",
        amp=False,
        compile=False,
        device="auto",
        random_state=None,
        verbose=0,
        callbacks=None,
        checkpoint=None,
        warm_start=False,
    ):
        super().__init__(
            max_epochs=max_epochs,
            batch_size=batch_size,
            lr=lr,
            weight_decay=weight_decay,
            early_stopping=early_stopping,
            validation_fraction=validation_fraction,
            amp=amp,
            compile=compile,
            device=device,
            random_state=random_state,
            verbose=verbose,
            callbacks=callbacks,
            checkpoint=checkpoint,
            warm_start=warm_start,
        )
        self.encoder = encoder
        self.freeze_epochs = freeze_epochs
        self.backbone_rate = backbone_rate
        self.class_weight = class_weight

    @training_fit
    def fit(self, X, y, sample_weight=None):
        """Pre-train if need be, then train head and encoder on labels.

        Parameters
        ----------
        X : array-like
            Series or spectrograms, as the encoder takes them.
        y : array-like of shape (n_samples,)
            Class labels. Beside two or more other classes, the integer -1 means
            "unlabeled", as in scikit-learn's semi-supervised tools: an encoder that is
            fitted here learns from those series, too, the classifier only from the
            others. With one other class, -1 is a class.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the series in the loss; None for equal ones. The pre-training
            does not use them.

        Returns
        -------
        self
        """
        device = resolve_device(self.device)
        self._check_encoder()
        X, y = self._validate_training(X, y)
        weight = _check_sample_weight(sample_weight, X, ensure_non_negative=True)
        labeled = labeled_rows(y, self._known_classes)
        if not labeled.any():
            raise ValueError("y has no labels: all series are marked as unlabeled.")
        self.classes_, indices = class_indices(y[labeled], self._known_classes)
        # A fit that goes on may lack some of the classes.
        present, places = np.unique(self.classes_[indices], return_inverse=True)
        per_class = compute_class_weight(
            self.class_weight, classes=present, y=present[places]
        )
        weight = (weight[labeled] * per_class[places]).astype(np.float32)
        self._n_validation(len(indices))
        context = self._init_callback_context(max_subtasks=2)
        context.call_on_fit_task_begin(estimator=self)
        self.encoder_ = self._fitted_encoder(X, context.subcontext("encoder"))
        known = X if labeled.all() else X[labeled]
        prepare = functools.partial(apply_in_chunks, self.encoder_._prepare, device)
        blocks = row_blocks(len(known))
        parts = (prepare(self._bridged(known[rows])) for rows in blocks)
        series = stored(parts, len(known), device)
        make_network = functools.partial(
            FineTunedNetwork,
            encoder=copy.deepcopy(self.encoder_.net_.module_.encoder).cpu(),
            n_classes=len(self.classes_),
        )
        self._train(
            make_network,
            [series, *to_device(series.device, indices, weight)],
            known,
            lengths=self._whole_lengths(known),
            most=self.encoder_._most,
            labels=indices,
            subcontext=functools.partial(context.subcontext, "fine-tuning"),
            param_groups=[("encoder.*", {"lr": self.lr * self.backbone_rate})],
            callbacks=freeze("encoder.*", self.freeze_epochs),
        )
        context.call_on_fit_task_end(estimator=self, reconstruction_attributes={})
        return self

    def _check_encoder(self):
        """Refuse what is no encoder before any work."""
        inner = getattr(self.encoder, "estimator", self.encoder)
        if self.encoder is not None and not isinstance(inner, SpectralEstimator):
            kind = type(inner).__name__
            raise InvalidParameterError(
                "The 'encoder' parameter of FineTunedClassifier must be an SSLEncoder, "
                "SSLVQTokenizer or VAE, a FrozenEstimator of one, or None. Got "
                f"{kind if inner is self.encoder else f'a FrozenEstimator of {kind}'} "
                "instead."
            )

    def _fitted_encoder(self, X, context):
        if self._goes_on:
            return self.encoder_
        encoder = self.encoder
        if encoder is None:
            encoder = SSLEncoder(device=self.device)
        encoder = fitted_copy(encoder, X, self.random_state, context, self.checkpoint)
        if encoder.sample_shape_ != self.sample_shape_:
            raise ValueError(
                f"X has samples of shape {self.sample_shape_}, but the encoder was "
                f"fitted on samples of shape {encoder.sample_shape_}."
            )
        return encoder

    @property
    def _trained_length(self):
        return self.encoder_._trained_length

    @property
    def _hop_length(self):
        return self.encoder_._hop_length

    @property
    def _least_length(self):
        return self.encoder_._least_length

    @property
    def _channel_means(self):
        return self.encoder_._channel_means

    def _prepare(self, x):
        """Standardized series, as the encoder sees them."""
        return self.encoder_._prepare(x)

    def predict_proba(self, X):
        """Predict the probabilities of the classes.

        Parameters
        ----------
        X : array-like of the shape that ``fit`` saw, or list of arrays
            Series or spectrograms. Series in a list may have any length.

        Returns
        -------
        ndarray of shape (n_samples, n_classes)
        """
        X, module = self._check(X), self._module
        return self._apply(lambda x: module.logits(x).double().softmax(dim=1), X)
