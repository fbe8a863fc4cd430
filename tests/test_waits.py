"""Steps of training that never wait for a GPU, as far as a CPU can tell."""

import pytest
import torch
from estimators import (
    tiny_autoregressive,
    tiny_classifier,
    tiny_encoder,
    tiny_fcn,
    tiny_tokenizer,
    tiny_vae,
    waves,
)
from torch.utils._python_dispatch import TorchDispatchMode

from sktsrep import augmentations
from sktsrep._training import SeriesNet
from sktsrep.functional import spectral
from sktsrep.networks import MaskedPrior

# Operations whose result decides what the host does next.
READS = {"_local_scalar_dense", "equal", "masked_select", "nonzero", "unique_dim"}

TRAININGS = {
    **{
        f"tokenizer with {ssl}": lambda ssl=ssl: tiny_tokenizer(ssl=ssl)
        for ssl in (None, "vibcreg", "byol", "barlow_twins", "vicreg", "simclr")
    },
    **{
        quantizer: lambda quantizer=quantizer: tiny_tokenizer(quantizer=quantizer)
        for quantizer in ("residual_vq", "ema_codebook", "gradient_codebook", "fsq")
    },
    "encoder": tiny_encoder,
    "vae": tiny_vae,
    "autoregressive": lambda: tiny_autoregressive(tiny_tokenizer(max_epochs=0)),
    "classifier": tiny_classifier,
    "fcn": tiny_fcn,
}
AUGMENTATIONS = [
    getattr(augmentations, name)
    for name in augmentations.__all__
    if name.islower() and not name.endswith(("augment", "augmentations"))
]


class Waits(TorchDispatchMode):
    """Lists the operations that wait for the device."""

    def __init__(self):
        super().__init__()
        self.names = []

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        name = function.overloadpacket.__name__
        is_mask = name in {"index", "index_put", "index_put_"} and any(
            index is not None and index.dtype == torch.bool for index in args[1]
        )
        if name in READS or is_mask:
            self.names.append(name)
        return function(*args, **(kwargs or {}))


@pytest.fixture
def waits(monkeypatch):
    """Waits of all steps of training, but not of the epochs around them."""
    watch = Waits()
    train_step = SeriesNet.train_step

    def watched(self, batch, **params):
        with watch:
            return train_step(self, batch, **params)

    monkeypatch.setattr(SeriesNet, "train_step", watched)
    # It looks at windows on the CPU only.
    monkeypatch.setattr(spectral, "_check_invertible", lambda *args: None)
    return watch


@pytest.mark.parametrize("name", TRAININGS)
def test_a_step_waits_for_nothing(name, waits):
    TRAININGS[name]().set_params(max_epochs=1).fit(*waves())
    assert waits.names == []


def test_waits_are_seen(waits):
    def clip(x):
        return x.clamp(max=x.abs().max().item())

    tiny_encoder(augmentations=clip, max_epochs=1).fit(waves()[0])
    assert set(waits.names) == {"_local_scalar_dense"}


@pytest.mark.parametrize("augmentation", AUGMENTATIONS, ids=lambda f: f.__name__)
def test_an_augmentation_waits_for_nothing(augmentation, waits):
    with waits:
        augmentation(torch.zeros(3, 1, 40))
    assert waits.names == []


def tiny_prior(**params):
    settings = {"n_codes": 16, "n_tokens": 10, "depth": 2, "n_classes": 2}
    sizes = {"dim": 8, "n_layers": 1, "n_heads": 2, "dropout": 0.1}
    others = {"schedule": "cosine", "class_dropout": 0.1, "unequal": False}
    return MaskedPrior(**{**settings, **sizes, **others, **params})


@pytest.mark.parametrize("unequal", [False, True])
def test_the_masked_prior_waits_for_nothing_on_a_device(unequal):
    # A device without values: reading one raises.
    prior = tiny_prior(unequal=unequal).to("meta")
    tokens = torch.zeros(6, 10, dtype=torch.int64, device="meta")
    loss = prior(tokens, tokens[:, 0])["token_loss"]
    loss.backward()
    assert loss.shape == ()
    with pytest.raises(RuntimeError, match="meta"):
        loss.item()


def test_the_masked_prior_has_one_loss_on_every_device(monkeypatch):
    torch.manual_seed(0)
    prior = tiny_prior(dropout=0.0).eval()
    tokens = torch.randint(8, (6, 10)) + 8 * (torch.arange(10) % 2)
    places, mask = prior._places(tokens), torch.rand(6, 5) < 0.5
    hidden = prior.transformer(places, mask, prior._no_class(tokens), None)
    sparse, n_sparse = prior._masked_nats(hidden, places, mask, is_sparse=True)
    dense, n_dense = prior._masked_nats(hidden, places, mask, is_sparse=False)
    torch.testing.assert_close(sparse, dense)
    assert n_sparse == n_dense == 2 * mask.sum()
