"""Fine-tuning: a classifier that starts from a pre-trained encoder."""

import copy
from functools import partial
from numbers import Integral, Real

import torch
import torch.nn.functional as F
from sklearn.base import _fit_context
from sklearn.callback import with_callbacks
from sklearn.exceptions import NotFittedError
from sklearn.frozen import FrozenEstimator
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.class_weight import compute_class_weight
from sklearn.utils.validation import check_is_fitted
from torch import nn

from sktsrep._net import check_split, fit_net, freeze, resolve_device
from sktsrep._validation import class_indices, validate_series
from sktsrep.base import (
    SeriesClassifier,
    SpectralEstimator,
    TorchEstimator,
    all_or_nothing,
    apply_in_chunks,
    clone_with_seed,
    random_seed,
    to_tensor,
)
from sktsrep.encoders import SSLEncoder
from sktsrep.nn import TrainingModule

__all__ = ["FineTunedClassifier"]


class _FineTuned(TrainingModule):
    """A pre-trained encoder and a linear head on all that it can be summarized to."""

    def __init__(self, *, encoder, n_classes, class_weight):
        super().__init__()
        self.encoder = encoder
        self.norm = nn.LayerNorm(encoder.n_features)
        self.head = nn.Linear(encoder.n_features, n_classes)
        self.register_buffer("class_weight", class_weight)

    def logits(self, x):
        """(batch, channels, time) -> (batch, n_classes)."""
        features = self.norm(self.encoder.embed(x))
        # The last bits of a product depend on where in memory a row begins: with the
        # batch innermost, a series scores the same at every place of a batch.
        return self.head(features.t().contiguous().t()).float()

    def forward(self, x, y):
        """Cross-entropy of standardized series and class indices."""
        nats = F.cross_entropy(self.logits(x), y, weight=self.class_weight)
        return {"classification_loss": nats}


class FineTunedClassifier(SeriesClassifier):
    """Classifier that trains a pre-trained encoder on, end to end, with labels.

    Parameters
    ----------
    encoder : SSLEncoder, SSLVQTokenizer, VAE, FrozenEstimator of one, or None, \
            default=None
        Where the convolutions start. Fitted, or in a
        :class:`~sklearn.frozen.FrozenEstimator` (which cloning, as in
        cross-validation, leaves fitted), its weights are copied: the encoder itself is
        never changed. Unfitted, a clone is fitted on the training series first. None
        is ``SSLEncoder()`` on the classifier's device.
    freeze_epochs : int, default=0
        Epochs at the start in which the head alone is trained.
    backbone_rate : float, default=0.1
        Learning rate of the encoder as a multiple of ``lr``.
    class_weight : dict, "balanced" or None, default=None
        Weights of the classes, as in scikit-learn's classifiers.
    max_epochs : int or "auto", default="auto"
        Passes over the data; "auto" makes about 500 optimizer steps, of large data
        up to 1250, fourteen passes.
    batch_size : int, default=64
        Series a step.
    lr : float, default=1e-3
        Learning rate of the head at the start; it falls to zero on a cosine.
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
        Compile the network's blocks with :func:`torch.compile`.
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
    encoder_ : estimator
        The fitted encoder that training started from; a copy of one given fitted.
    classes_ : ndarray of shape (n_classes,)
        The labels.
    history_ : DataFrame
        One row an epoch: the loss in nats, and seconds.
    n_iter_ : int
        Epochs trained.
    sample_shape_ : tuple of int
        Shape of one sample in ``fit``.
    n_features_in_ : int
        Size of the second axis in ``fit``.
    feature_names_in_ : ndarray of shape (n_features_in_,)
        Only when ``X`` has feature names that are all strings.

    Notes
    -----
    The frozen protocol needs no estimator of its own: it is a pipeline of an encoder
    and a linear model.

    Examples
    --------
    >>> import numpy as np
    >>> from sktsrep.classifiers import FineTunedClassifier
    >>> from sktsrep.encoders import SSLEncoder
    >>> y = np.arange(20) % 2
    >>> X = np.sin(np.linspace(0, 9, 48) * (1 + y[:, None]) + np.arange(20)[:, None])
    >>> encoder = SSLEncoder(hidden_dim=8, max_epochs=2, random_state=0, device="cpu")
    >>> classifier = FineTunedClassifier(
    ...     encoder.fit(X), max_epochs=20, lr=1e-2, random_state=0, device="cpu"
    ... )
    >>> classifier.fit(X, y).predict_proba(X).shape
    (20, 2)
    """

    _auto_steps = 500

    _parameter_constraints = {
        "encoder": [SpectralEstimator, FrozenEstimator, None],
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
        self.encoder = encoder
        self.freeze_epochs = freeze_epochs
        self.backbone_rate = backbone_rate
        self.class_weight = class_weight
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

    @_fit_context(prefer_skip_nested_validation=False)
    @all_or_nothing
    @with_callbacks
    def fit(self, X, y):
        """Pre-train if need be, then train head and encoder on labels.

        Parameters
        ----------
        X : array-like
            Series or spectrograms, as the encoder takes them.
        y : array-like of shape (n_samples,)
            Class labels.

        Returns
        -------
        self
        """
        device = resolve_device(self.device)
        X, y = validate_series(self, X, y, reset=True)
        self.classes_, indices = class_indices(y)
        weight = compute_class_weight(
            self.class_weight, classes=self.classes_, y=self.classes_[indices]
        )
        check_split(self, len(X))
        context = self._init_callback_context(max_subtasks=2)
        context.call_on_fit_task_begin(estimator=self)
        self.encoder_ = self._fitted_encoder(X, context.subcontext("encoder"))
        backbone = copy.deepcopy(self.encoder_.net_.module_.encoder).cpu()
        series = apply_in_chunks(self.encoder_._prepare, device, to_tensor(X, "cpu"))
        fit_net(
            self,
            _FineTuned,
            dict(
                encoder=backbone,
                n_classes=len(self.classes_),
                class_weight=torch.tensor(weight, dtype=torch.float32),
            ),
            [series.to(device), torch.tensor(indices, device=device)],
            random_seed(self.random_state),
            param_groups=[("encoder.*", {"lr": self.lr * self.backbone_rate})],
            open_context=partial(context.subcontext, "fine-tuning"),
            callbacks=freeze("encoder.*", self.freeze_epochs),
        )
        context.call_on_fit_task_end(estimator=self, reconstruction_attributes={})
        return self

    def _fitted_encoder(self, X, context):
        """A copy of the given encoder where it is fitted, else a fitted clone."""
        encoder = self.encoder
        if encoder is None:
            encoder = SSLEncoder(device=self.device)
        if isinstance(encoder, FrozenEstimator):
            encoder = encoder.estimator
            if not isinstance(encoder, SpectralEstimator):
                raise TypeError(
                    "encoder must be an SSLEncoder, SSLVQTokenizer or VAE, got a "
                    f"FrozenEstimator of {type(encoder).__name__} instead."
                )
            check_is_fitted(encoder)
        try:
            check_is_fitted(encoder)
        except NotFittedError:
            encoder = clone_with_seed(encoder, self.random_state)
            with context.propagate_callback_context(encoder):
                return encoder.fit(X)
        if encoder.sample_shape_ != self.sample_shape_:
            raise ValueError(
                f"X has samples of shape {self.sample_shape_}, but the encoder was "
                f"fitted on samples of shape {encoder.sample_shape_}."
            )
        return copy.deepcopy(encoder)  # it may be fitted again, to other data

    def predict_proba(self, X):
        """Probabilities of the classes.

        Parameters
        ----------
        X : array-like of the shape that ``fit`` saw
            Series or spectrograms.

        Returns
        -------
        ndarray of shape (n_samples, n_classes)
        """
        X = self._check(X)
        module = self._module

        def probabilities(x):
            return module.logits(self.encoder_._prepare(x)).double().softmax(dim=1)

        return self._predict_chunks(probabilities, to_tensor(X, "cpu")).numpy()
