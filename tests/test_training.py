"""The training engine: callbacks, early stopping, interruption, batches."""

import copy
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
from estimators import (
    needs_callbacks,
    tiny_classifier,
    tiny_encoder,
    tiny_sampler,
    tiny_tokenizer,
    tiny_vae,
    waves,
)
from skorch.callbacks import Callback

from sktsrep._device import isolated_random_state
from sktsrep._training import DeviceBatches, Rows, SeriesNet, resolve_epochs
from sktsrep.networks import (
    CausalPrior,
    FineTunedNetwork,
    FullyConvolutionalNetwork,
    MaskedPrior,
)
from sktsrep.nn import SpectralEncoder
from sktsrep.objectives import Objective


class Record(Callback):
    """Counts what skorch tells it; may press Ctrl-C."""

    def __init__(self, interrupt_after=None):
        self.interrupt_after = interrupt_after
        self.epochs = 0

    def on_epoch_end(self, net, **kwargs):
        self.epochs += 1
        if self.epochs == self.interrupt_after:
            raise KeyboardInterrupt


class InterruptBatch(Callback):
    """Presses Ctrl-C after some steps."""

    def __init__(self, n_steps):
        self.n_steps = n_steps

    def on_batch_end(self, net, **kwargs):
        self.n_steps -= 1
        if self.n_steps == 0:
            raise KeyboardInterrupt


class KeepWeights(Callback):
    """Keeps a copy of the network's weights after every epoch."""

    def on_train_begin(self, net, **kwargs):
        self.weights = []

    def on_epoch_end(self, net, **kwargs):
        self.weights.append(copy.deepcopy(net.module_.state_dict()))


class RecordTasks:
    """A scikit-learn callback that scores every epoch and may end the fit."""

    def __init__(self, X, stop_after=None):
        self.X = X
        self.stop_after = stop_after
        self.scores = []

    def setup(self, estimator, context):
        self.was_set_up = True

    def teardown(self, estimator, context):
        self.was_torn_down = True

    def on_fit_task_begin(self, estimator, context):
        pass

    def on_fit_task_end(self, estimator, context, *, fitted_estimator=None):
        if context.task_name == "epoch":
            self.scores.append(fitted_estimator.score(self.X))
        return len(self.scores) == self.stop_after


@pytest.mark.parametrize("n_samples", [1, 2, 5, 16, 17, 33])
@pytest.mark.parametrize("batch_size", [1, 4, 16])
def test_batches_are_even_and_complete(n_samples, batch_size):
    dataset = Rows(torch.arange(n_samples))
    batches = [x for (x,), _ in DeviceBatches(dataset, batch_size, shuffle=True)]
    assert set(torch.cat(batches).tolist()) == set(range(n_samples))
    sizes = {len(batch) for batch in batches}
    assert min(sizes) >= 2
    assert max(sizes) <= max(batch_size, 2)
    assert max(sizes) - min(sizes) <= 1


def test_isolated_random_state():
    before = torch.get_rng_state()
    draws = []
    for _ in range(2):
        with isolated_random_state(3, torch.device("cpu")):
            draws.append(torch.rand(2))
    assert torch.equal(*draws)
    assert torch.equal(before, torch.get_rng_state())


def test_skorch_callbacks_are_called():
    record = Record()
    tiny_tokenizer(callbacks=[record], max_epochs=3).fit(waves()[0])
    assert record.epochs == 3


@pytest.mark.parametrize("callback", [RecordTasks(None), 3, ("name", None)])
def test_callbacks_must_be_skorchs(callback):
    tokenizer = tiny_tokenizer(callbacks=[callback])
    with pytest.raises(TypeError, match=r"skorch callbacks.*go to set_callbacks"):
        tokenizer.fit(waves()[0])


def test_keyboard_interrupt_keeps_the_model():
    X, _ = waves()
    tokenizer = tiny_tokenizer(callbacks=[Record(2)], max_epochs=50).fit(X)
    assert tokenizer.n_iter_ == 2
    assert np.isfinite(tokenizer.transform(X)).all()


def test_keyboard_interrupt_in_an_epoch_warns_and_forgets_it():
    X, _ = waves()
    tokenizer = tiny_tokenizer(callbacks=[InterruptBatch(8)], max_epochs=50)
    with pytest.warns(UserWarning, match="interrupted by user") as caught:
        tokenizer.fit(X)  # 40 series in batches of 16: three steps per epoch
    assert caught[0].filename == __file__
    assert tokenizer.n_iter_ == len(tokenizer.history_) == 2
    assert tokenizer.history_.notna().all(axis=None)


def test_keyboard_interrupt_in_the_first_epoch_loses_nothing():
    X, _ = waves()
    tokenizer = tiny_tokenizer().fit(X)
    before = tokenizer.transform(X)
    tokenizer.set_params(callbacks=[InterruptBatch(2)])
    with pytest.raises(KeyboardInterrupt):
        tokenizer.fit(X + 1)
    np.testing.assert_array_equal(tokenizer.transform(X), before)


def test_threads_get_the_same_bits():
    X, _ = waves()
    before = torch.get_rng_state()
    alone = tiny_encoder(max_epochs=5).fit_transform(X)
    with ThreadPoolExecutor(2) as pool:
        fits = [
            pool.submit(tiny_encoder(max_epochs=5).fit_transform, X) for _ in range(4)
        ]
    for fit in fits:
        np.testing.assert_array_equal(fit.result(), alone)
    assert torch.equal(torch.get_rng_state(), before)


@needs_callbacks
def test_scikit_learn_callbacks_see_and_stop_every_epoch():
    X, _ = waves()
    callback = RecordTasks(X, stop_after=3)
    tokenizer = tiny_tokenizer(max_epochs=50).set_callbacks(callback).fit(X)
    assert tokenizer.n_iter_ == 3
    assert tokenizer.score(X) == callback.scores[-1]
    assert callback.was_torn_down


@needs_callbacks
def test_watching_does_not_change_the_training():
    X, _ = waves()
    plain = tiny_tokenizer(max_epochs=3).fit(X)
    watched = tiny_tokenizer(max_epochs=3).set_callbacks(RecordTasks(X)).fit(X)
    np.testing.assert_array_equal(plain.transform(X), watched.transform(X))


def test_early_stopping_keeps_the_best_weights():
    X, _ = waves(n_samples=60)
    keep = KeepWeights()
    tokenizer = tiny_tokenizer(
        early_stopping=2,
        max_epochs=200,
        lr=0.05,
        ssl=None,
        callbacks=[keep],
    ).fit(X)
    best = int(tokenizer.history_["valid_loss"].argmin())
    assert best + 1 < tokenizer.n_iter_ < 200
    for name, weight in tokenizer.net_.module_.state_dict().items():
        assert torch.equal(weight, keep.weights[best][name])


@pytest.mark.parametrize("maker", [tiny_sampler, tiny_vae])
def test_held_out_losses_differ_by_the_network_alone(maker):
    X = np.random.default_rng(0).integers(4, size=(40, 9))
    still = {"lr": 1e-12, "early_stopping": True, "max_epochs": 4}
    losses = maker(**still).fit(X).history_["valid_loss"]
    assert len(losses) == 4
    np.testing.assert_allclose(losses, losses.iloc[0], rtol=1e-4)


class Plateau(Objective):
    """A loss that is the same whatever is learned."""

    def __init__(self, level=0.0, projector_dim=8):
        self.level = level
        self.projector_dim = projector_dim

    def terms(self, z, z_prime):
        return {"plateau_loss": 0 * z.sum() + self.level}


@pytest.mark.parametrize("level", [1.0, 0.0, -1.0])
def test_early_stopping_stops_at_a_plateau_of_any_sign(level):
    X, _ = waves()
    encoder = tiny_encoder(ssl=Plateau(level), early_stopping=2, max_epochs=20)
    assert encoder.fit(X).n_iter_ == 3


@pytest.mark.parametrize(
    ("early_stopping", "n_epochs"),
    [
        (False, 14),
        (np.False_, 14),
        (True, 11),  # waits ten epochs after the first
        (np.True_, 11),
        (1, 2),  # an int, although it equals True
        (3, 4),
        (np.int64(3), 4),
    ],
    ids=repr,
)
def test_early_stopping_is_a_flag_or_the_epochs_to_wait(early_stopping, n_epochs):
    X, _ = waves()
    params = {"early_stopping": early_stopping, "max_epochs": 14}
    encoder = tiny_encoder(ssl=Plateau(1.0), **params).fit(X)
    assert encoder.n_iter_ == n_epochs
    assert ("valid_loss" in encoder.history_) == bool(early_stopping)


@pytest.mark.parametrize("early_stopping", [0, -1, 2.0, None, "yes"])
def test_early_stopping_is_nothing_else(early_stopping):
    with pytest.raises(ValueError, match="'early_stopping' parameter"):
        tiny_encoder(early_stopping=early_stopping).fit(waves()[0])


def test_early_stopping_needs_samples():
    with pytest.raises(ValueError, match="train set will be empty"):
        tiny_tokenizer(early_stopping=True).fit(waves(n_samples=1)[0])


@pytest.mark.parametrize(
    ("steps", "n_epochs"),
    [
        (48, 16),
        (30, 14),  # ten passes would do, fourteen are made
        (6, 5),  # fourteen would be more than 2.5 times the steps
        (1, 1),  # one at least
    ],
)
def test_auto_epochs_bound_the_steps(steps, n_epochs):
    assert resolve_epochs("auto", steps, n_batches=3) == n_epochs


@pytest.mark.parametrize("max_epochs", [0, 7])
def test_a_number_of_epochs_stands_for_itself(max_epochs):
    assert resolve_epochs(max_epochs, 800, n_batches=3) == max_epochs


@pytest.mark.parametrize(
    ("params", "n_batches"), [({}, 3), ({"early_stopping": True}, 2)]
)
def test_auto_epochs_count_the_batches_of_a_training(params, n_batches):
    X, _ = waves(n_samples=33)  # in batches of 16, three of them are held out
    params |= {"max_epochs": "auto", "callbacks": [Record(interrupt_after=1)]}
    encoder = tiny_encoder(**params).fit(X)
    assert encoder.net_.max_epochs == resolve_epochs("auto", 800, n_batches)


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_divergence_is_an_error_and_loses_nothing():
    X, _ = waves()
    tokenizer = tiny_tokenizer().fit(X)
    before = tokenizer.transform(X)
    tokenizer.set_params(lr=1e30, max_epochs=50)
    with pytest.raises(ValueError, match="Training diverged"):
        tokenizer.fit(100 + 7 * X[:, :30])  # of another shape and scale
    np.testing.assert_array_equal(tokenizer.transform(X), before)


@pytest.mark.parametrize("maker", [tiny_sampler, tiny_classifier])
def test_early_stopping_needs_samples_before_any_training(maker):
    record = Record()
    first = tiny_tokenizer(callbacks=[record])
    X, y = waves(n_samples=1)
    with pytest.raises(ValueError, match="train set will be empty"):
        maker(first, early_stopping=True).fit(X, y)
    assert record.epochs == 0


def series_batch():
    return torch.zeros(4, 1, 40), torch.zeros(4, dtype=torch.int64), torch.ones(4)


def token_batch():
    return torch.zeros(4, 6, dtype=torch.int64), torch.zeros(4, dtype=torch.int64)


def fine_tuned_network():
    encoder = SpectralEncoder(1, 40, out_dim=4, hidden_dim=8, n_blocks=1)
    return FineTunedNetwork(encoder=encoder, n_classes=2)


TRANSFORMER = dict(n_codes=5, n_tokens=6, depth=1, dim=8, n_layers=1, n_heads=2)
PRIOR = dict(**TRANSFORMER, n_classes=0, dropout=0.0, class_dropout=0.0, unequal=False)


@pytest.mark.filterwarnings("ignore:The .grad attribute")  # torch's own, in tracing
@pytest.mark.parametrize(
    ("make_network", "make_batch"),
    [
        (fine_tuned_network, series_batch),
        (
            lambda: FullyConvolutionalNetwork(n_channels=1, n_classes=2),
            series_batch,
        ),
        (lambda: MaskedPrior(**PRIOR, schedule="cosine"), token_batch),
        (lambda: CausalPrior(**PRIOR), token_batch),
    ],
    ids=["fine-tuned", "fcn", "masked prior", "causal prior"],
)
def test_compile_reaches_the_blocks(make_network, make_batch):
    torch.compiler.reset()  # what was compiled before decides which sizes are fixed
    graphs = []

    def backend(graph, inputs):
        graphs.append(graph)
        return graph.forward

    net = SeriesNet(
        make_network(),
        criterion=torch.nn.Identity,
        compile=True,
        compile__backend=backend,
    ).initialize()
    net.infer(make_batch())
    assert len(graphs) == 1


def test_amp_trains():
    X, _ = waves()
    assert np.isfinite(tiny_tokenizer(amp=True).fit(X).transform(X)).all()


def test_verbose_prints_epochs(capsys):
    tiny_tokenizer(verbose=1, early_stopping=True).fit(waves()[0])
    header, *rows = capsys.readouterr().out.splitlines()
    assert header.split() == ["epoch", "train_loss", "valid_loss", "seconds"]
    assert [row.split()[:3] for row in rows] == [["1", "of", "2"], ["2", "of", "2"]]
    assert max(map(len, rows)) < 80
    assert not any("\x1b" in row for row in rows)  # no colors in a file
