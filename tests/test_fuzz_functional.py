"""Functions of tensors give right results, or say in one line what they expect."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tensors import generator, normal

from sktsrep import augmentations, functional
from sktsrep.functional import MASK_SCHEDULES, stft

SCALES = dict(scale=st.floats(0, 2))
WIDTHS = dict(width=st.floats(0, 1))
AUGMENTATIONS = {
    "amplitude_resize": SCALES,
    "band_mask": WIDTHS,
    "block_mask": dict(time_width=st.floats(0, 1), band_width=st.floats(0, 1)),
    "crop_and_resize": dict(low=st.floats(0, 1)),
    "flip": dict(probability=st.floats(0, 1)),
    "gaussian_noise": SCALES,
    "magnitude_warp": dict(scale=st.floats(0, 2), n_knots=st.integers(2, 9)),
    "phase_rotation": dict(max_angle=st.floats(0, 7)),
    "slice_and_shuffle": dict(n_slices=st.integers(1, 9)),
    "slope": SCALES,
    "spectral_scale": SCALES,
    "time_mask": WIDTHS,
    "time_shift": WIDTHS,
    "window_warp": dict(
        window=st.floats(0, 1),
        factors=st.tuples(st.floats(0.1, 1), st.floats(1, 9)),
    ),
}
WEIGHTS = dict(invariance_weight=25.0, variance_weight=25.0, covariance_weight=1.0)


def integers(high, *shape):
    return torch.randint(high, shape, generator=generator())


def spectrum(b, c, t):
    return stft(normal(b, c, t), 8, 2, torch.hann_window(8, dtype=torch.float64))


# Arguments of every function from three sizes, and the shapes that it must give.
FUNCTIONS = {
    "barlow_twins_terms": lambda b, c, t: (
        dict(z=normal(b, c), z_prime=normal(b, c), redundancy_weight=0.1, eps=1e-5),
        [(), ()],
    ),
    "byol_terms": lambda b, c, t: (
        dict(
            prediction=normal(b, c),
            prediction_prime=normal(b, c),
            target=normal(b, c),
            target_prime=normal(b, c),
        ),
        [()],
    ),
    "codebook_lookup": lambda b, c, t: (
        dict(z=normal(b, t, c), codebook=normal(5, c)),
        [(b, t)],
    ),
    "codebook_loss": lambda b, c, t: (
        dict(z=normal(b, c, t), z_q=normal(b, c, t)),
        [()],
    ),
    "commitment_loss": lambda b, c, t: (
        dict(z=normal(b, c, t), z_q=normal(b, c, t)),
        [()],
    ),
    "cosine_momentum": lambda b, c, t: (dict(progress=0.5, base=0.9), []),
    "drop_classes": lambda b, c, t: (
        dict(classes=integers(3, b), probability=0.5, no_class=3),
        [(b,)],
    ),
    "effective_rank": lambda b, c, t: (
        (dict(covariance=normal(b, c).T.cov()), [()])
        if c > 1 and b > 1
        else (dict(covariance=torch.eye(c)), [()])
    ),
    "finite_scalar_round": lambda b, c, t: (
        dict(z=normal(b, t, 2), levels=[3, 2]),
        [(b, t, 2)],
    ),
    "finite_scalar_tokens": lambda b, c, t: (
        dict(values=normal(b, t, 2).tanh(), levels=[3, 2]),
        [(b, t)],
    ),
    "finite_scalar_values": lambda b, c, t: (
        dict(tokens=integers(6, b, t), levels=[3, 2]),
        [(b, t, 2)],
    ),
    "gaussian_kl": lambda b, c, t: (
        dict(mean=normal(b, c), log_variance=normal(b, c)),
        [(b,)],
    ),
    "gaussian_nll": lambda b, c, t: (
        dict(x=normal(b, c, t), mean=normal(b, c, t), log_variance=normal(c, 1)),
        [(b,)],
    ),
    "guide": lambda b, c, t: (
        dict(with_class=normal(b, c), without=normal(b, c), scale=2.0),
        [(b, c)],
    ),
    "istft": lambda b, c, t: (
        dict(
            spectrogram=spectrum(b, c, t),
            n_fft=8,
            hop_length=2,
            window=torch.hann_window(8, dtype=torch.float64),
            n_timepoints=t,
        ),
        [(b, c, t)],
    ),
    "iterative_normalization": lambda b, c, t: (
        dict(z=normal(t, b, c), n_iterations=5, eps=1e-3),
        [(t, b, c), (t, c), (t, c, c)],
    ),
    "mask_fraction": lambda b, c, t: (
        dict(progress=normal(b, t).sigmoid(), schedule=MASK_SCHEDULES[t % 5]),
        [(b, t)],
    ),
    "n_masked_tokens": lambda b, c, t: (
        dict(step=1, n_steps=t, n_start=integers(9, b), n_unknown=integers(9, b)),
        [(b,)],
    ),
    "nt_xent_terms": lambda b, c, t: (
        dict(z=normal(b, c), z_prime=normal(b, c), temperature=0.5),
        [()],
    ),
    "orthogonal_loss": lambda b, c, t: (dict(codebook=normal(b, c)), [()]),
    "perplexity": lambda b, c, t: (dict(counts=integers(9, b)), [()]),
    "random_token_mask": lambda b, c, t: (
        dict(n_samples=b, n_tokens=t, schedule="linear"),
        [(b, t)],
    ),
    "remask": lambda b, c, t: (
        dict(
            log_probability=-normal(b, t).exp(),
            unknown=torch.ones(b, t, dtype=torch.bool),
            n_masked=integers(t, b),
            temperature=1.0,
        ),
        [(b, t)],
    ),
    "resolve_frames": lambda b, c, t: (
        dict(n_fft=8, hop_length=c, n_timepoints=t),
        [],
    ),
    "sample_categorical": lambda b, c, t: (
        dict(logits=normal(b, t, c)),
        [(b, t), (b, t)],
    ),
    "stft": lambda b, c, t: (
        dict(
            x=normal(b, c, t),
            n_fft=8,
            hop_length=2,
            window=torch.hann_window(8, dtype=torch.float64),
        ),
        [(b, c, 5, 1 + math.ceil(t / 2))],
    ),
    "vibcreg_terms": lambda b, c, t: (
        dict(z=normal(b, c), z_prime=normal(b, c), **WEIGHTS),
        [(), (), ()],
    ),
    "vicreg_terms": lambda b, c, t: (
        dict(z=normal(b, c), z_prime=normal(b, c), **WEIGHTS),
        [(), (), ()],
    ),
}
DRAWS = {"drop_classes", "random_token_mask", "remask", "sample_categorical"}
# Modules whose functions do not check their arguments yet.
UNCHECKED = {"sktsrep.functional.classification", "sktsrep.functional.scaling"}
OTHER_AUGMENTATIONS = {"PRESETS", "Augmentation", "augment", "resolve_augmentations"}

every_function = pytest.mark.parametrize("name", FUNCTIONS)
every_augmentation = pytest.mark.parametrize("name", AUGMENTATIONS)
sizes = st.tuples(*3 * [st.integers(1, 7)])
fast = settings(max_examples=25)


def test_every_public_function_has_its_case():
    public = set(functional.__all__) - {"MASK_SCHEDULES"}
    modules = {name: getattr(functional, name).__module__ for name in public}
    checked = {name for name in public if modules[name] not in UNCHECKED}
    assert FUNCTIONS.keys() == checked
    assert AUGMENTATIONS.keys() | OTHER_AUGMENTATIONS == set(augmentations.__all__)


def call(module, name, arguments, source):
    if module is augmentations or name in DRAWS:
        arguments = dict(generator=source, **arguments)
    return getattr(module, name)(**arguments)


def tensors_in(result):
    """List the tensors in what a function gives."""
    if isinstance(result, dict):
        result = tuple(result.values())
    results = result if isinstance(result, tuple) else (result,)
    return [part for part in results if isinstance(part, torch.Tensor)]


def check(result, shapes=None):
    tensors = tensors_in(result)
    if shapes is not None:
        assert [tuple(part.shape) for part in tensors] == shapes
    for part in tensors:
        assert part.is_meta or part.isfinite().all()


# What a user may give instead of a tensor or of a number.
TENSOR_MISTAKES = {
    "array": lambda x, axis: x.numpy(),
    "none": lambda x, axis: None,
    "list": lambda x, axis: x.tolist(),
    "another axis": lambda x, axis: x.unsqueeze(0),
    "an axis less": lambda x, axis: x.select(axis, 0),
    "scalar": lambda x, axis: x.flatten()[0],
    "no values": lambda x, axis: x.narrow(axis, 0, 0),
    "twice as long": lambda x, axis: torch.cat([x, x], dim=axis),
    "one less": lambda x, axis: x.narrow(axis, 0, x.shape[axis] - 1),
    "transposed": lambda x, axis: x.transpose(axis, 0),
    "another device": lambda x, axis: x.to("meta"),
    "int64": lambda x, axis: x.real.to(torch.int64),
    "uint8": lambda x, axis: x.real.double().abs().to(torch.uint8),
    "bool": lambda x, axis: x.bool(),
    "half": lambda x, axis: x.real.half(),
    "bfloat16": lambda x, axis: x.real.bfloat16(),
    "float32": lambda x, axis: x.real.float(),
    "complex": lambda x, axis: x.to(torch.complex64),
    "gradient": lambda x, axis: (
        x.double().requires_grad_()
        if not x.is_complex()
        else x.detach().requires_grad_()
    ),
    "strided": lambda x, axis: (
        x.repeat_interleave(2, dim=axis).unfold(axis, x.shape[axis], 1)[..., 0]
        if x.shape[axis] > 1
        else x
    ),
}
NUMBER_MISTAKES = [-1, 0, 1, 2.5, -0.1, 1.1, True, None, "text", [1, 2], (2,)] + [
    math.nan,
    math.inf,
    -math.inf,
    np.float32(0.5),
    np.int64(2),
    torch.tensor(1.0),
]


@st.composite
def mistaken(draw, arguments):
    """Change one argument."""
    name = draw(st.sampled_from(sorted(arguments)))
    value = arguments[name]
    if isinstance(value, torch.Tensor):
        mistake = draw(st.sampled_from(sorted(TENSOR_MISTAKES)))
        axis = draw(st.integers(0, value.ndim - 1))
        value = TENSOR_MISTAKES[mistake](value, axis)
    else:
        value = draw(st.sampled_from(NUMBER_MISTAKES))
    return {**arguments, name: value}


def expect_a_result_or_a_clear_error(module, name, arguments, source):
    try:
        result = call(module, name, arguments, source)
        if arguments.get("eps") != 0:  # which keeps constant features finite
            check(result)
    except (TypeError, ValueError) as error:
        words = str(error)
        assert len(words.splitlines()) == 1
        assert any(argument in words for argument in [*arguments, "generator"])


@every_function
@fast
@given(size=sizes)
def test_functions_give_finite_results_of_the_right_shape(name, size):
    arguments, shapes = FUNCTIONS[name](*size)
    check(call(functional, name, arguments, generator()), shapes)


@every_function
@fast
@given(size=sizes, data=st.data())
def test_functions_say_what_they_expect(name, size, data):
    arguments = data.draw(mistaken(FUNCTIONS[name](*size)[0]))
    expect_a_result_or_a_clear_error(functional, name, arguments, generator())


@every_augmentation
@fast
@given(size=sizes, data=st.data())
def test_augmentations_give_finite_results_of_the_same_shape(name, size, data):
    strengths = data.draw(st.fixed_dictionaries(AUGMENTATIONS[name]))
    x = normal(*size)
    check(call(augmentations, name, dict(x=x, **strengths), generator()), [x.shape])


@every_augmentation
@fast
@given(size=sizes, data=st.data())
def test_augmentations_say_what_they_expect(name, size, data):
    strengths = data.draw(st.fixed_dictionaries(AUGMENTATIONS[name]))
    arguments = data.draw(mistaken(dict(x=normal(*size), **strengths)))
    expect_a_result_or_a_clear_error(augmentations, name, arguments, generator())


@pytest.mark.parametrize("source", [3, np.random.default_rng(0), "cpu"])
@pytest.mark.parametrize(
    ("module", "name"),
    [
        *[(augmentations, name) for name in AUGMENTATIONS],
        *[(functional, name) for name in sorted(DRAWS)],
    ],
)
def test_generators_are_those_of_torch(module, name, source):
    arguments = dict(x=normal(2, 1, 9))
    if module is functional:
        arguments = FUNCTIONS[name](2, 3, 4)[0]
    with pytest.raises(TypeError, match=r"generator must be a torch\.Generator"):
        call(module, name, arguments, source)
