"""Shapes at every length, and what each module promises beyond its shape."""

import copy
import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn
from torch.testing import assert_close

from sktsrep.functional import iterative_normalization
from sktsrep.nn import (
    STFT,
    CausalTransformer,
    Decoder,
    DepthHead,
    EMAQuantizer,
    EmbeddingMonitor,
    Encoder,
    GradientQuantizer,
    IterNorm,
    LatentFactors,
    MaskedTransformer,
    MovingAverage,
    Pool,
    Projector,
    SpectralEncoder,
    WindowScaler,
    pool,
    summarize,
    summarize_latent,
)

batches = st.integers(1, 3)
lengths = st.integers(1, 40)
both_quantizers = pytest.mark.parametrize(
    "make_quantizer", [EMAQuantizer, GradientQuantizer]
)


@pytest.fixture(autouse=True)
def seeded():
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        yield


def state_of(module):
    return copy.deepcopy(module.state_dict())


# --------------------------------------------------------------- spectrograms and pools


@given(batch=batches, channels=st.integers(1, 3), length=lengths)
def test_stft_module_round_trip(batch, channels, length):
    transform = STFT(8, 4, dtype=torch.float64)
    x = torch.randn(batch, channels, length, dtype=torch.float64)
    spectrogram = transform(x)
    assert spectrogram.shape == (batch, 2 * channels, 5, 1 + math.ceil(length / 4))
    assert_close(transform.inverse(spectrogram, length), x)


@given(batch=batches, length=lengths)
def test_pool_is_mean_and_maximum(batch, length):
    x = torch.randn(batch, 3, length)
    mean, maximum = Pool()(x).chunk(2, dim=1)
    assert_close(mean, x.mean(dim=-1))
    assert torch.equal(maximum, x.max(dim=-1).values)


@given(batch=batches, channels=st.integers(1, 4), length=lengths)
def test_summarize_adds_minimum_and_share_of_positive_values(batch, channels, length):
    x = torch.randn(batch, channels, length)
    values = x.numpy()
    share = np.mean(values > 0, axis=-1, dtype=np.float32)
    added = torch.from_numpy(np.concatenate([values.min(axis=-1), share], axis=1))
    assert_close(summarize(x), torch.cat([pool(x), added], dim=1))


@given(batch=batches, channels=st.integers(1, 4), length=lengths)
def test_summarize_latent_adds_the_maximum_of_every_quarter(batch, channels, length):
    x = torch.randn(batch, channels, length)
    bounds = [
        (math.floor(i * length / 4), math.ceil((i + 1) * length / 4)) for i in range(4)
    ]
    quarters = torch.stack([x[..., a:b].amax(dim=-1) for a, b in bounds], dim=-1)
    expected = torch.cat([summarize(x), quarters.flatten(start_dim=1)], dim=1)
    assert torch.equal(summarize_latent(x), expected)


def test_summarize_latent_tells_where_a_pattern_is():
    early, late = torch.zeros(2, 1, 1, 32)
    early[..., 5], late[..., 20] = 1.0, 1.0
    assert torch.equal(summarize(early), summarize(late))
    assert not torch.equal(summarize_latent(early), summarize_latent(late))


def test_pool_shares_the_gradient_among_ties():
    x = torch.tensor([[[2.0, 5, 5, 1]]], requires_grad=True)
    pool(x)[0, 1].backward()
    assert x.grad.tolist() == [[[0, 0.5, 0.5, 0]]]


# ---------------------------------------------------------------- encoders and decoders


@given(
    batch=batches,
    n_tokens=lengths,
    n_stages=st.integers(1, 4),
    hidden_dim=st.sampled_from([4, 8, 12, 64]),
)
def test_encoder_halves_the_frames(batch, n_tokens, n_stages, hidden_dim):
    encoder = Encoder(6, hidden_dim, 3, n_stages, n_blocks=1)
    frames = 2 ** (n_stages - 1) * n_tokens + n_stages - 1
    x = torch.randn(batch, 6, frames)
    sizes = [frames // 2**stage for stage in range(n_stages)]
    shapes = [tuple(activation.shape) for activation in encoder.activations(x)]
    # Entry and one block in every stage.
    expected = [(batch, hidden_dim, size) for size in sizes for _ in range(2)]
    assert shapes == [*expected, (batch, 3, sizes[-1])]
    assert encoder(x).isfinite().all()


def test_activations_hold_what_every_block_adds():
    encoder = Encoder(6, 16, 3, n_stages=2, n_blocks=2)
    x = torch.randn(2, 6, 9)
    *maps, z = encoder.activations(x)
    first_stage = encoder.stages[0](x)
    assert_close(sum(maps[:3]), first_stage)
    assert_close(sum(maps[3:]), encoder.stages[1](first_stage))
    assert torch.equal(z, encoder(x))


@pytest.mark.parametrize("hidden_dim", [4, 8, 12, 64])
def test_encoder_sees_a_single_frame(hidden_dim):
    encoder = Encoder(6, hidden_dim, 3, n_stages=1, n_blocks=1)
    first, second = encoder(torch.randn(2, 6, 1))
    assert (first - second).abs().max() > 1e-3


def test_encoder_of_a_row_does_not_depend_on_its_batch():
    encoder = Encoder(6, 16, 3, n_stages=2, n_blocks=2)
    x = torch.randn(4, 6, 11)
    assert_close(encoder(x)[1:2], encoder(x[1:2]))


@given(
    batch=batches,
    tokens=st.integers(1, 9),
    sizes=st.lists(lengths, min_size=1, max_size=3),
)
def test_decoder_that_interpolates_reaches_its_sizes(batch, tokens, sizes):
    decoder = Decoder(3, 16, 6, sizes, n_blocks=1, transposed=False)
    assert decoder(torch.randn(batch, 3, tokens)).shape == (batch, 6, sizes[-1])


@given(batch=batches, n_frames=st.integers(8, 40), n_stages=st.integers(1, 4))
def test_decoder_doubles_frames_as_the_encoder_halved_them(batch, n_frames, n_stages):
    sizes = [n_frames >> stage for stage in reversed(range(n_stages))]
    decoder = Decoder(3, 16, 6, sizes, n_blocks=1)
    assert decoder(torch.randn(batch, 3, sizes[0])).shape == (batch, 6, n_frames)
    longer = [2 * n_frames + 1 >> stage for stage in reversed(range(n_stages))]
    z = torch.randn(batch, 3, longer[0])
    assert decoder(z, longer).shape == (batch, 6, 2 * n_frames + 1)


@given(
    batch=batches,
    channels=st.integers(1, 2),
    length=lengths,
    n_fft=st.integers(2, 9),
    max_tokens=st.integers(1, 12),
)
def test_spectral_encoder_at_every_length(batch, channels, length, n_fft, max_tokens):
    sizes_of_stft = dict(n_fft=n_fft, hop_length=max(n_fft // 2, 1))
    encoder = SpectralEncoder(
        channels,
        length,
        out_dim=3,
        max_tokens=max_tokens,
        hidden_dim=16,
        **sizes_of_stft,
    )
    x = torch.randn(batch, channels, length)
    spectrogram = encoder.spectrogram(x)
    amplitudes, *maps, latent = encoder.activations(spectrogram)
    size = np.hypot(*spectrogram.numpy().reshape(batch, 2, -1).swapaxes(0, 1))
    expected = np.log10(np.hypot(size, 1e-4)).reshape(amplitudes.shape)
    np.testing.assert_allclose(amplitudes, expected, atol=1e-4)
    assert spectrogram.shape == (batch, encoder.in_channels, encoder.sizes[0])
    assert [part.shape[-1] for part in maps[::3]] == encoder.sizes
    assert encoder.embed(x).shape == (batch, encoder.n_features)
    assert encoder.sizes[-1] <= max_tokens
    assert latent.shape == (batch, 3, encoder.sizes[-1])
    assert torch.equal(encoder(x), latent)
    assert_close(encoder.series(spectrogram), x, rtol=0, atol=1e-3)


@given(rows=st.integers(1, 3), channels=st.integers(1, 2))
def test_spectral_encoder_centers_log_amplitudes(rows, channels):
    encoder = SpectralEncoder(channels, 30, out_dim=3, hidden_dim=16)
    x = torch.randn(300 * rows, channels, 30)  # more than go through at once
    encoder.start(x)
    amplitudes = encoder.activations(encoder.spectrogram(x))[0]
    assert_close(
        amplitudes.mean(dim=(0, 2)), torch.zeros(5 * channels), atol=1e-5, rtol=0
    )


def test_latent_map_sees_what_has_little_power():
    time = torch.arange(64.0)
    loud = (0.1 * time).sin().expand(2, 1, 64)
    faint = torch.stack([1e-3 * (2 * time).sin(), 1e-2 * (2 * time).sin()]).unsqueeze(1)

    def difference(**params):
        torch.manual_seed(0)
        encoder = SpectralEncoder(1, 64, out_dim=8, hidden_dim=16, **params)
        encoder.start(loud + faint)
        first, second = encoder(loud + faint)
        return (first - second).abs().mean()

    assert difference() > 3 * difference(log_weight=0.0)


@given(batch=batches, length=lengths, max_tokens=st.integers(1, 12))
def test_linear_path_has_the_places_of_the_encoder(batch, length, max_tokens):
    encoder = SpectralEncoder(
        1, length, out_dim=3, max_tokens=max_tokens, hidden_dim=16
    )
    x = torch.randn(batch, 1, length)
    detail = encoder.linear_path(5)(encoder.spectrogram(x))
    assert detail.shape == (batch, 5, *encoder(x).shape[2:])


@pytest.mark.parametrize("transposed", [False, True])
def test_mirror_is_the_decoder_back_to_the_spectrogram(transposed):
    encoder = SpectralEncoder(2, 45, out_dim=3, max_tokens=8, hidden_dim=16)
    decoder = encoder.mirror(3, transposed=transposed)
    x = torch.randn(2, 2, 45)
    reconstruction = decoder(encoder(x))
    assert reconstruction.shape == encoder.spectrogram(x).shape
    assert encoder.series(reconstruction).shape == x.shape
    same = Decoder(
        3,
        16,
        encoder.in_channels,
        encoder.sizes[::-1],
        n_blocks=2,
        transposed=transposed,
    )
    same.load_state_dict(decoder.state_dict())
    assert torch.equal(same(encoder(x)), reconstruction)


# -------------------------------------------------------------------- vector quantizers


@both_quantizers
@given(batch=batches, tokens=st.integers(1, 9), n_codes=st.integers(1, 9))
def test_quantizer_takes_the_nearest_code(make_quantizer, batch, tokens, n_codes):
    quantizer = make_quantizer(n_codes, 3).eval()
    z = torch.randn(batch, 3, tokens)
    z_q, chosen, _ = quantizer(z)
    distance = torch.cdist(z.movedim(1, -1), quantizer.codebook[None])
    assert torch.equal(chosen, distance.argmin(dim=-1))
    assert_close(z_q, quantizer.codebook[chosen].movedim(-1, 1))
    assert torch.equal(quantizer.encode(quantizer.lookup(chosen)), chosen)


@both_quantizers
def test_quantizer_passes_the_gradient_straight_through(make_quantizer):
    quantizer = make_quantizer(5, 3)
    z = torch.randn(2, 3, 7, requires_grad=True)
    gradient = torch.randn(2, 3, 7)
    z_q, _, _ = quantizer(z)
    z_q.backward(gradient)
    assert torch.equal(z.grad, gradient)
    assert quantizer.codebook.grad is None  # never from the reconstruction


def test_codebook_learns_from_its_own_losses_only():
    quantizer = GradientQuantizer(5, 3, orthogonal_weight=0.1)
    _, _, losses = quantizer(torch.randn(2, 3, 7, requires_grad=True))

    def reaches_the_codebook(loss):
        wanted = torch.autograd.grad(
            loss, quantizer.codebook, retain_graph=True, allow_unused=True
        )
        return wanted[0] is not None

    learners = {name for name, loss in losses.items() if reaches_the_codebook(loss)}
    assert set(losses) == {"commitment_loss", "codebook_loss", "orthogonal_loss"}
    assert learners == {"codebook_loss", "orthogonal_loss"}


def test_moving_averages_leave_no_loss_to_the_codebook():
    quantizer = EMAQuantizer(5, 3)
    _, _, losses = quantizer(torch.randn(2, 3, 7, requires_grad=True))
    assert set(losses) == {"commitment_loss"}
    assert list(quantizer.parameters()) == []


def test_moving_averages_by_hand():
    quantizer = EMAQuantizer(2, 1, decay=0.9, revival_threshold=0.0)
    quantizer.set_codes(torch.tensor([[0.0], [10.0]]))
    quantizer(torch.tensor([[[1.0, 2, 3, 9]]]))
    keep, move = 1 / 11, 10 / 11  # the first step's decay, short of 0.9
    counts = torch.tensor([keep + move * 2 * 3 / 4, keep + move * 2 * 1 / 4])
    sums = torch.tensor([move * 2 * 6 / 4, keep * 10 + move * 2 * 9 / 4])
    smoothed = 2 * (counts + 1e-5) / (2 + 2 * 1e-5)
    assert_close(quantizer.counts, counts)
    assert_close(quantizer.sums, sums.unsqueeze(1))
    assert_close(quantizer.codebook, (sums / smoothed).unsqueeze(1))


def test_decay_grows_to_its_value():
    quantizer = EMAQuantizer(2, 1, decay=0.5, revival_threshold=0.0)
    quantizer.set_codes(torch.tensor([[0.0], [10.0]]))
    for _ in range(30):
        quantizer(torch.tensor([[[1.0, 1, 1, 9]]]))
    settled = quantizer.counts.clone()
    quantizer(torch.tensor([[[9.0, 9, 9, 9]]]))
    assert_close(quantizer.counts, 0.5 * settled + 0.5 * torch.tensor([0.0, 2]))


def test_moving_averages_settle_on_the_means_of_the_clusters():
    quantizer = EMAQuantizer(2, 1, decay=0.5)
    quantizer.set_codes(torch.tensor([[0.0], [10.0]]))
    for _ in range(40):
        quantizer(torch.tensor([[[1.0, 2, 3, 9]]]))
    assert_close(quantizer.codebook, torch.tensor([[2.0], [9.0]]), rtol=0, atol=1e-3)


@both_quantizers
def test_dead_codes_restart_at_vectors_of_the_batch(make_quantizer):
    quantizer = make_quantizer(4, 2, decay=0.0, revival_threshold=0.05)
    quantizer.set_codes(torch.tensor([[0.0, 0], [50, 50], [60, 60], [70, 70]]))
    z = torch.randn(1, 2, 30)
    quantizer(z)
    revived, vectors = quantizer.codebook[1:].detach(), z[0].T
    same = (revived.unsqueeze(1) == vectors).all(dim=-1)  # (codes, vectors)
    assert same.any(dim=1).all()
    if make_quantizer is EMAQuantizer:
        assert torch.equal(quantizer.sums[1:], revived)
    assert torch.equal(quantizer.counts[1:], torch.ones(3))
    quantizer(z)
    assert quantizer.epoch_metrics()["codebook_usage"] > 0.5


@both_quantizers
def test_codes_in_use_are_not_revived(make_quantizer):
    quantizer = make_quantizer(2, 1, decay=0.0)
    quantizer.set_codes(torch.tensor([[0.0], [10.0]]))
    quantizer(torch.tensor([[[0.0, 0, 10, 10]]]))
    assert_close(quantizer.codebook.detach(), torch.tensor([[0.0], [10.0]]))


@both_quantizers
def test_quantizer_in_evaluation_changes_nothing(make_quantizer):
    quantizer = make_quantizer(5, 3).eval()
    before, state = state_of(quantizer), torch.get_rng_state()
    quantizer(torch.randn(2, 3, 7, generator=torch.Generator().manual_seed(1)))
    assert_close(state_of(quantizer), before, rtol=0, atol=0)
    assert (quantizer.epoch_counts == 0).all()
    assert torch.equal(torch.get_rng_state(), state)


@both_quantizers
def test_quantizer_under_autocast_is_that_in_full_precision(make_quantizer):
    z, results = torch.randn(8, 3, 20, generator=torch.Generator()), []
    for amp in (False, True):
        torch.manual_seed(0)
        quantizer = make_quantizer(16, 3)
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=amp):
            z_q, tokens, losses = quantizer(z)
        results.append([z_q, tokens, *losses.values(), quantizer.codebook])
    for plain, mixed in zip(*results, strict=True):
        assert torch.equal(plain, mixed)


def test_monitor_sees_a_collapse_far_from_the_origin():
    monitor, along = EmbeddingMonitor(16), torch.randn(640, 1)
    monitor(1 + 0.001 * along * torch.randn(16))
    figures = monitor.epoch_metrics()
    assert_close(figures["effective_rank"].item(), 1.0, atol=0.02, rtol=0)


def test_monitor_under_autocast_is_that_in_full_precision():
    h, results = 2 + 0.05 * torch.randn(640, 8, generator=torch.Generator()), []
    for amp in (False, True):
        monitor = EmbeddingMonitor(8)
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=amp):
            monitor(h)
        results.append(monitor.epoch_metrics())
    assert results[0] == results[1]
    assert results[0]["effective_rank"] > 7.9


@both_quantizers
def test_codes_may_be_set(make_quantizer):
    quantizer = make_quantizer(2, 1)
    codes = torch.tensor([[3.0], [4.0]])
    quantizer.set_codes(codes)
    assert torch.equal(quantizer.codebook.detach(), codes)
    assert quantizer.encode(torch.tensor([[[4.1, 2.0]]])).tolist() == [[1, 0]]


def test_epoch_metrics_add_up_batches_and_forget_them():
    quantizer = GradientQuantizer(4, 1, revival_threshold=0.0)
    quantizer.set_codes(torch.tensor([[0.0], [1], [2], [3]]))
    for z in ([0.0, 0.0], [1.0, 1.0]):
        quantizer(torch.tensor([[z]]))
    metrics = {name: float(value) for name, value in quantizer.epoch_metrics().items()}
    assert metrics == pytest.approx({"perplexity": 2.0, "codebook_usage": 0.5})
    assert quantizer.epoch_metrics()["codebook_usage"] == 0


# ------------------------------------------------ projector and iterative normalization


@pytest.mark.parametrize(
    ("features", "groups"), [(3, (1, 3)), (64, (1, 64)), (128, (2, 64)), (67, (67, 1))]
)
def test_iter_norm_whitens_in_equal_groups(features, groups):
    norm = IterNorm(features)
    z = torch.randn(200, features)
    blocks = z.split(groups[1], dim=1)
    expected = [iterative_normalization(block)[0] for block in blocks]
    assert norm.mean.shape == groups
    assert_close(norm(z), torch.cat(expected, dim=1))


def test_iter_norm_averages_what_it_saw():
    norm = IterNorm(3, momentum=0.25)
    z = torch.randn(50, 3) + 5
    _, mean, whitening = iterative_normalization(z)
    norm(z)
    assert_close(norm.mean[0], 0.25 * mean)
    assert_close(norm.whitening[0], 0.75 * torch.eye(3) + 0.25 * whitening)


def test_iter_norm_in_evaluation_uses_the_averages():
    norm = IterNorm(3)
    z = torch.randn(50, 3) + 5
    for _ in range(150):
        trained = norm(z)
    before = state_of(norm.eval())
    assert_close(norm(z), trained, rtol=1e-4, atol=1e-4)
    assert_close(norm(z[:1]), trained[:1], rtol=1e-4, atol=1e-4)
    assert_close(state_of(norm), before, rtol=0, atol=0)


@pytest.mark.parametrize(
    ("dims", "last_norm", "layers"),
    [
        ([4, 2], None, [nn.Linear]),
        ([4, 8, 2], None, [nn.Linear, nn.BatchNorm1d, nn.ReLU, nn.Linear]),
        ([4, 2], IterNorm(2), [nn.Linear, IterNorm]),
    ],
)
def test_projector_layers(dims, last_norm, layers):
    projector = Projector(dims, last_norm)
    assert [type(layer) for layer in projector] == layers
    assert projector(torch.randn(5, 4)).shape == (5, 2)


# ----------------------------------------------------------------------- moving average


def test_moving_average_follows_parameters_and_buffers():
    online = Projector([2, 3, 2])
    target = MovingAverage(online)
    before = state_of(target.module)
    online(torch.randn(8, 2) + 3)  # moves the running statistics
    for parameter in online.parameters():
        nn.init.normal_(parameter)
    target.follow(online, momentum=0.9)
    counter = "1.num_batches_tracked"
    for name, value in online.state_dict().items():
        expected = value if name == counter else 0.9 * before[name] + 0.1 * value
        assert_close(target.module.state_dict()[name], expected)


@pytest.mark.parametrize("momentum", [0.0, 1.0])
def test_moving_average_at_the_extremes(momentum):
    online = nn.Linear(2, 2)
    target = MovingAverage(online)
    before = state_of(target.module)
    nn.init.normal_(online.weight)
    target.follow(online, momentum)
    expected = before if momentum else online.state_dict()
    assert_close(dict(target.module.state_dict()), dict(expected))


def test_moving_average_has_no_gradient_and_its_own_memory():
    online = nn.Linear(2, 2)
    target = MovingAverage(online)
    nn.init.zeros_(online.weight)
    x = torch.randn(3, 2, requires_grad=True)
    assert not target(x).requires_grad
    assert not any(parameter.requires_grad for parameter in target.parameters())
    assert target.module.weight.abs().sum() > 0
    assert all(parameter.requires_grad for parameter in online.parameters())


# ------------------------------------------------------------------- masked transformer


@pytest.fixture(params=[1, 3], ids=["one token", "three tokens"])
def depth(request):
    return request.param


@pytest.fixture(params=[0, 2], ids=["table", "factors"])
def transformer(request, depth):
    sizes = dict(n_classes=2, depth=depth, dim=16, n_layers=2, n_heads=2)
    vectors = dict(code_dim=3, n_factors=request.param, n_level_places=1)
    net = MaskedTransformer(5, 7, **sizes, **vectors if request.param else {}).eval()
    if request.param:
        net.set_codes(torch.randn(depth * 5, 3))
        net.start(torch.randint(5, (20, 7, depth)), None)
    return net


@pytest.fixture
def batch(depth):
    tokens = torch.randint(5, (4, 7, depth))
    mask = torch.arange(7).expand(4, 7) % 3 == torch.arange(4).unsqueeze(1) % 3
    return tokens, mask, torch.tensor([0, 1, 2, 0])


def test_masked_tokens_do_not_influence_the_scores(transformer, batch):
    tokens, mask, classes = batch
    hidden = transformer(tokens, mask, classes)
    others, masked = (tokens + 1) % 5, mask.unsqueeze(-1)
    hidden_changed = transformer(torch.where(masked, others, tokens), mask, classes)
    visible_changed = transformer(torch.where(masked, tokens, others), mask, classes)
    assert hidden.shape == (4, 7, 16)
    assert torch.equal(hidden_changed, hidden)
    assert ((visible_changed - hidden).abs().amax(dim=-1) > 1e-6).all()


def test_classes_places_and_masks_influence_the_scores(transformer, batch):
    tokens, mask, classes = batch
    hidden = transformer(tokens, mask, classes)
    assert not torch.allclose(transformer(tokens, mask, (classes + 1) % 3), hidden)
    assert not torch.allclose(transformer(tokens, ~mask, classes), hidden)
    alike = transformer(torch.zeros_like(tokens), mask & False, classes)
    assert not torch.allclose(alike[:, 0], alike[:, 1])


def test_levels_have_embeddings_of_their_own():
    net = MaskedTransformer(5, 1, n_classes=0, depth=2, dim=8, n_layers=1, n_heads=2)
    tokens, classes = torch.tensor([[[1, 2]], [[2, 1]]]), torch.zeros(2).long()
    first, second = net.eval()(tokens, torch.zeros(2, 1, dtype=torch.bool), classes)
    assert not torch.allclose(first, second)


@given(order=st.permutations(range(4)))
def test_scores_follow_the_order_of_the_batch(order):
    net = MaskedTransformer(5, 7, n_classes=2, dim=16, n_layers=1, n_heads=2).eval()
    tokens, classes = torch.randint(5, (4, 7, 1)), torch.tensor([0, 1, 2, 0])
    mask = torch.rand(4, 7) < 0.5
    hidden = net(tokens, mask, classes)
    assert_close(net(tokens[order], mask[order], classes[order]), hidden[order])
    assert_close(net(tokens[:1], mask[:1], classes[:1]), hidden[:1])


def test_dropout_is_for_training_only(transformer, batch):
    assert torch.equal(transformer(*batch), transformer(*batch))
    transformer.train()
    assert not torch.equal(transformer(*batch), transformer(*batch))


def test_transformer_without_classes_takes_a_single_token():
    net = MaskedTransformer(5, 1, n_classes=0, dim=8, n_layers=1, n_heads=2)
    tokens = torch.zeros(3, 1, 1, dtype=torch.int64)
    classes = torch.zeros(3, dtype=torch.int64)
    assert net(tokens, tokens[..., 0] == 0, classes).shape == (3, 1, 8)


def test_codes_with_the_same_vector_begin_alike(depth):
    sizes = dict(n_classes=0, depth=depth, dim=16, n_layers=1, n_heads=2)
    net = MaskedTransformer(5, 7, **sizes, code_dim=3, tied=True).eval()
    codebook = torch.randn(depth * 5, 3)
    codebook[1::5] = codebook[::5]
    net.set_codes(codebook)
    with torch.no_grad():  # what tells them apart is learned
        for table in (net.token_embedding, *net.head.coarser):
            table.weight.zero_()
    tokens = torch.randint(2, (4, 7, depth))
    mask, classes = torch.zeros(4, 7, dtype=torch.bool), torch.zeros(4).long()
    hidden = net(tokens, mask, classes)
    assert_close(net(1 - tokens, mask, classes), hidden)
    assert not torch.allclose(net(tokens + 2, mask, classes), hidden)
    scores = net.head(hidden, tokens)
    assert_close(scores[..., 1], scores[..., 0])
    assert_close(net.head(hidden, 1 - tokens), scores)
    assert not torch.allclose(scores[..., 2], scores[..., 0])


def test_embeddings_of_a_place_add_up_to_its_latent_vector():
    sizes = dict(n_classes=0, depth=3, dim=16, n_layers=1, n_heads=2, code_dim=4)
    net = MaskedTransformer(5, 7, **sizes)
    codebook = torch.randn(15, 4)
    net.set_codes(codebook)
    tokens = torch.tensor([[[1, 4, 2]]])
    latent = codebook[[1, 9, 12]].sum(dim=0) / codebook[:5].std(correction=0)
    with torch.no_grad():
        net.token_embedding.weight.zero_()
    embedded = net.embed_places(net.symbols(tokens))
    assert_close(embedded[0, 0], net.token_embedding.projection(latent))


def test_levels_have_vectors_of_their_own():
    sizes = dict(n_classes=0, depth=2, dim=16, n_layers=1, n_heads=2, code_dim=4)
    net = MaskedTransformer(5, 3, **sizes, n_factors=1, n_level_places=1)
    codebook, levels = torch.randn(10, 4), torch.randn(10, 6)
    net.set_codes(codebook)
    net.set_level_codes(levels)
    level, *places = net._vectors(net._inputs(torch.tensor([[[1, 4]] * 3])))[0]
    assert_close(level, levels[[1, 9], :4].sum(dim=0) / levels[:5].std(correction=0))
    for place in places:
        expected = codebook[[1, 9]].sum(dim=0) / codebook[:5].std(correction=0)
        assert_close(place, expected)


@pytest.mark.parametrize("codebook", [torch.zeros(10, 3), torch.ones(10, 3)])
def test_codes_that_are_all_the_same_give_finite_scores(codebook):
    sizes = dict(n_classes=0, depth=2, dim=16, n_layers=1, n_heads=2)
    net = MaskedTransformer(5, 7, **sizes, code_dim=3, tied=True).eval()
    net.set_codes(codebook)
    tokens = torch.zeros(2, 7, 2, dtype=torch.int64)
    hidden = net(tokens, tokens[..., 0] > 0, torch.zeros(2).long())
    assert net.head(hidden, tokens).isfinite().all()


# ----------------------------------------------------------------------- latent factors


def alike_maps(n_series, n_places=4, dim=3, n_factors=2, seed=0):
    """Latent maps that a few factors explain, but for noise."""
    random = torch.Generator().manual_seed(seed)
    loadings = torch.randn(n_factors, n_places, dim, generator=random)
    scores = torch.randn(n_series, n_factors, generator=random)
    maps = torch.einsum("nk,kpd->npd", scores, loadings)
    return maps + 1 + 0.2 * torch.randn(maps.shape, generator=random)


@pytest.fixture
def started():
    z = alike_maps(400)
    factors = LatentFactors(4, dim=3, n_factors=2)
    in_half = torch.arange(400) % 2 == 0
    factors.start(z, torch.ones(400, 4, dtype=torch.bool), in_half)
    return factors, z, in_half


def test_factors_expect_the_conditional_mean_of_their_gaussian(started):
    factors, z, _ = started
    visible = torch.rand(10, 4) < 0.5
    expected = factors(z[:10], visible) * factors.spread
    loadings = factors.loadings[2].flatten(end_dim=1)  # (entries, factors)
    covariance = loadings @ loadings.T
    noisy = covariance + factors.noise[2] * torch.eye(12)
    mean = factors.mean[2].flatten()
    for row, seen in enumerate(visible.repeat_interleave(3, dim=1)):
        around = z[row].flatten()[seen] - mean[seen]
        weights = torch.linalg.solve(noisy[seen][:, seen], around)
        by_hand = mean + covariance[:, seen] @ weights
        assert_close(expected[row].flatten(), by_hand, rtol=1e-3, atol=1e-3)


def test_factors_explain_hidden_places(started):
    factors, *_ = started
    new = alike_maps(500)[400:]
    visible = torch.tensor([True, True, False, False]).expand(100, 4)
    error = (factors(new, visible) * factors.spread - new)[:, 2:].square().mean()
    assert error < 0.3 * (new - factors.mean[2])[:, 2:].square().mean()


def test_factors_ignore_what_is_hidden(started):
    factors, z, _ = started
    visible = torch.rand(400, 4) < 0.5
    other = torch.where(visible.unsqueeze(-1), z, torch.randn_like(z))
    assert_close(factors(other, visible), factors(z, visible))


def test_series_are_expected_by_the_half_without_them(started):
    factors, z, in_half = started
    visible = torch.ones(400, 4, dtype=torch.bool)
    before = factors(z, visible, in_half)
    changed = torch.where(in_half[:, None, None], z * 2, z)
    present = torch.ones(400, 4, dtype=torch.bool)
    spread = factors.spread.clone()
    factors.start(changed, present, in_half)
    after = factors(z, visible, in_half) * factors.spread / spread
    assert_close(after[in_half], before[in_half])
    assert not torch.allclose(after[~in_half], before[~in_half])


def test_factors_of_shorter_series_are_those_of_what_is_there(started):
    _, z, in_half = started
    present = torch.ones(400, 4, dtype=torch.bool)
    present[::3, 3] = False
    models = [LatentFactors(4, dim=3, n_factors=2) for _ in range(2)]
    for factors, there in zip(models, (1e3, -1e3), strict=True):
        padded = torch.where(present.unsqueeze(-1), z, there)
        with torch.random.fork_rng():  # directions are found at random
            torch.manual_seed(0)
            factors.start(padded, present, in_half)
    assert_close(models[0].state_dict(), models[1].state_dict())


@pytest.mark.parametrize("n_series", [1, 2, 5])
def test_factors_of_few_or_equal_series_are_finite(n_series):
    factors = LatentFactors(4, dim=3, n_factors=8)
    for z in (alike_maps(n_series), torch.ones(n_series, 4, 3)):
        present = torch.ones(n_series, 4, dtype=torch.bool)
        in_half = torch.arange(n_series) % 2 == 0
        factors.start(z, present, in_half)
        assert factors(z, present, in_half).isfinite().all()
        assert factors(z, present & False).isfinite().all()


# --------------------------------------------------------------------------- depth head


@pytest.fixture
def head():
    return DepthHead(n_codes=5, depth=3, dim=8)


@pytest.mark.parametrize("level", range(3))
def test_a_token_changes_the_scores_of_finer_levels_only(head, level):
    hidden, tokens = torch.randn(4, 7, 8), torch.randint(5, (4, 7, 3))
    changed = tokens.clone()
    changed[..., level] = (tokens[..., level] + 1) % 5
    scores, others = head(hidden, tokens), head(hidden, changed)
    assert scores.shape == (4, 7, 3, 5)
    assert torch.equal(scores[:, :, : level + 1], others[:, :, : level + 1])
    finer = (scores - others)[:, :, level + 1 :].abs().amax(dim=-1)
    assert (finer > 1e-6).all()


def most_probable(scores):
    log_p, tokens = scores.log_softmax(dim=-1).max(dim=-1)
    return tokens, log_p


def test_drawn_tokens_are_scored_as_given_ones(head):
    hidden = torch.randn(6, 8)
    tokens = head.draw(hidden, most_probable)
    assert torch.equal(head(hidden, tokens).argmax(dim=-1), tokens)


def test_a_coarsest_token_that_is_known_is_kept(head):
    hidden, coarsest = torch.randn(6, 8), torch.arange(6) % 5
    tokens = head.draw(hidden, most_probable, coarsest)
    assert torch.equal(tokens[:, 0], coarsest)
    assert torch.equal(head(hidden, tokens).argmax(dim=-1)[:, 1:], tokens[:, 1:])


# ------------------------------------------------------------------- causal transformer


@pytest.fixture
def causal(depth):
    sizes = dict(n_classes=2, depth=depth, dim=16, n_layers=2, n_heads=2)
    return CausalTransformer(5, 7, **sizes).eval()


@pytest.mark.parametrize("place", range(7))
def test_a_token_changes_the_scores_of_later_places_only(causal, batch, place):
    tokens, _, classes = batch
    changed = tokens.clone()
    changed[:, place] = (tokens[:, place] + 1) % 5
    scores, others = causal(tokens, classes), causal(changed, classes)
    assert scores.shape == (4, 7, 16)
    assert torch.equal(scores[:, : place + 1], others[:, : place + 1])
    later = (scores - others)[:, place + 1 :].abs().amax(dim=-1)
    assert (later > 1e-6).all()


def test_the_class_changes_the_scores_of_every_place(causal, batch):
    tokens, _, classes = batch
    change = causal(tokens, classes) - causal(tokens, (classes + 1) % 3)
    assert (change.abs().amax(dim=-1) > 1e-6).all()


def test_equal_tokens_score_differently_at_different_places(causal):
    tokens = torch.zeros(1, 7, causal.depth, dtype=torch.int64)
    classes = torch.tensor([2])
    scores = causal(tokens, classes)[0]
    assert (scores[1:] - scores[:-1]).abs().amax(dim=-1).min() > 1e-6


@pytest.mark.parametrize("n_first", [0, 1, 4, 6])
def test_scores_with_a_cache_are_those_without(causal, batch, n_first):
    tokens, _, classes = batch
    expected, cache = causal(tokens, classes), causal.make_cache()
    new, n_seen = causal.embed(tokens[:, :n_first], classes), 0
    for place in range(n_first, 7):
        assert_close(causal.next_hidden(new, n_seen, cache), expected[:, place])
        n_seen += new.shape[1]
        new = causal.embed_next(tokens[:, place : place + 1])


def test_causal_dropout_is_for_training_only(causal, batch):
    tokens, _, classes = batch
    assert torch.equal(causal(tokens, classes), causal(tokens, classes))
    causal.train()
    assert not torch.equal(causal(tokens, classes), causal(tokens, classes))


def test_causal_transformer_without_classes_takes_a_single_token():
    net = CausalTransformer(5, 1, n_classes=0, dim=8, n_layers=1, n_heads=2)
    tokens, classes = torch.tensor([[[0]], [[4]]]), torch.zeros(2, dtype=torch.int64)
    first, second = net.eval()(tokens, classes)
    assert first.shape == (1, 8)
    assert torch.equal(first, second)  # nothing stands before the first token


# ------------------------------------------------------------------------ window scaler


def recording_windows(n_channels=3, length=16, step=4):
    walk = torch.randn(600, n_channels, generator=torch.Generator().manual_seed(0))
    return walk.cumsum(dim=0).T.unfold(1, length, step).movedim(1, 0)


def started_scaler(x, n_codes=16, depth=3):
    scaler = WindowScaler(x.shape[1], n_codes, depth)
    scaler.start(x)
    return scaler


@pytest.mark.parametrize("depth", [1, 3])
@pytest.mark.parametrize("n_channels", [1, 3])
def test_window_scaler_gives_series_back(n_channels, depth):
    x = recording_windows(n_channels)
    scaler = started_scaler(x, depth=depth)
    rest, tokens = scaler(x)
    assert scaler.has_levels
    assert tokens.shape == (len(x), depth)
    assert scaler.features(x).shape == (len(x), scaler.n_features)
    assert_close(scaler.inverse(rest, tokens), x, atol=1e-3, rtol=1e-4)


def test_levels_are_removed_and_more_so_by_more_codebooks():
    x = recording_windows(1)
    levels = x.mean(dim=2).var()
    rests = [started_scaler(x, depth=depth)(x)[0] for depth in (1, 2, 4)]
    # What varies within a series has unit variance by now.
    left = [float(rest.mean(dim=2).var()) for rest in rests]
    assert left == sorted(left, reverse=True)
    assert left[-1] < 0.1 * float(levels / x.var(dim=2).mean())


def test_series_whose_levels_do_not_dominate_keep_them():
    x = torch.randn(50, 1, 16) + torch.randn(50, 1, 1)
    scaler = started_scaler(x)
    rest, tokens = scaler(x)
    assert not scaler.has_levels
    assert tokens.shape == (50, 0)
    assert scaler.features(x).shape == (50, 0)
    assert torch.equal(rest, x)


def test_correlated_channels_become_uncorrelated_ones_of_equal_variance():
    shared = torch.randn(200, 1, 16)
    x = torch.cat([shared, shared + 0.1 * torch.randn(200, 1, 16)], dim=1)
    rest, _ = started_scaler(x)(x)
    assert_close(rest.movedim(1, 0).flatten(1).cov(), torch.eye(2), atol=0.02, rtol=0)


def test_channels_without_strong_correlation_stay_themselves():
    x = torch.randn(200, 2, 16)
    assert torch.equal(started_scaler(x)(x)[0], x)


@pytest.mark.parametrize("n_samples", [1, 2])
def test_window_scaler_stands_few_and_constant_series(n_samples):
    for x in (torch.zeros(n_samples, 2, 8), torch.ones(n_samples, 2, 8)):
        x[-1, 1] = 5.0
        scaler = started_scaler(x)
        rest, tokens = scaler(x)
        assert rest.isfinite().all()
        assert_close(scaler.inverse(rest, tokens), x, atol=1e-2, rtol=0)
