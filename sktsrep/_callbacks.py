"""Callbacks of scikit-learn, which has them since 1.9; fits without any before that."""

import contextlib

__all__ = ["CallbackSupportMixin", "with_callbacks"]

try:
    from sklearn.callback import CallbackSupportMixin, with_callbacks
except ModuleNotFoundError:

    class CallbackSupportMixin:
        """Stand-in without ``set_callbacks``: no callback watches a fit."""

        def _init_callback_context(self, **kwargs):
            return _Unwatched()

    def with_callbacks(fit):
        """Stand-in: there are no callbacks to tear down.

        Parameters
        ----------
        fit : callable

        Returns
        -------
        callable
            ``fit`` as it is.
        """
        return fit


class _Unwatched:
    """The parts of scikit-learn's callback context that fits use, doing nothing."""

    def subcontext(self, *args, **kwargs):
        return self

    def call_on_fit_task_begin(self, **kwargs):
        pass

    def call_on_fit_task_end(self, **kwargs):
        return False  # nothing asks the fit to stop

    def propagate_callback_context(self, sub_estimator):
        return contextlib.nullcontext()
