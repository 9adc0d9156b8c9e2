"""Initializers, and what they stand on: keys for random numbers and the default dtype."""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import FrozenInstanceError
from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

import nbnet as nb
from nbnet import config, initializers, random
from nbnet.initializers import (
    Constant,
    GlorotNormal,
    GlorotUniform,
    HeNormal,
    HeUniform,
    Identity,
    LecunNormal,
    LecunUniform,
    Ones,
    Orthogonal,
    RandomNormal,
    RandomUniform,
    TruncatedNormal,
    VarianceScaling,
    Zeros,
    compute_fans,
)

NAMES = {
    "zeros": Zeros,
    "ones": Ones,
    "constant": Constant,
    "identity": Identity,
    "orthogonal": Orthogonal,
    "random_normal": RandomNormal,
    "random_uniform": RandomUniform,
    "truncated_normal": TruncatedNormal,
    "variance_scaling": VarianceScaling,
    "glorot_uniform": GlorotUniform,
    "glorot_normal": GlorotNormal,
    "he_uniform": HeUniform,
    "he_normal": HeNormal,
    "lecun_uniform": LecunUniform,
    "lecun_normal": LecunNormal,
}
RANDOM = [cls for cls in NAMES.values() if cls not in (Zeros, Ones, Constant, Identity)]
every = pytest.mark.parametrize("cls", list(NAMES.values()))
every_random = pytest.mark.parametrize("cls", RANDOM)


@pytest.fixture
def floatx64(monkeypatch):
    monkeypatch.setattr(config, "_floatx", np.dtype("float64"))


# ---- every initializer ---------------------------------------------------------------------------------------


@every
@pytest.mark.parametrize("dtype", ["float32", np.float64, np.dtype("float32")])
def test_makes_an_array_that_a_parameter_can_own(cls, dtype):
    array = cls()((6, 4), dtype)
    assert array.shape == (6, 4)
    assert array.dtype == dtype
    assert array.flags.c_contiguous
    assert array.flags.writeable
    assert array.flags.owndata or array.base.flags.owndata


@every
def test_default_dtype_is_floatx(cls, floatx64):
    assert cls()((3, 3)).dtype == np.float64


@every
def test_float32_is_float64_rounded(cls):
    made = cls(seed=3) if cls in RANDOM else cls()
    np.testing.assert_array_equal(made((5, 7), "float32"), made((5, 7), "float64").astype("float32"))


@every
def test_config_round_trip(cls):
    made = cls(seed=3) if cls in RANDOM else cls()
    again = cls.from_config(made.get_config())
    assert again == made
    assert initializers.get(initializers.serialize(made)) == made
    np.testing.assert_array_equal(again((4, 4)), made((4, 4)))


@every
@pytest.mark.parametrize("shape", [(-1, 2), (2, -3)])
def test_negative_sizes_are_refused(cls, shape):
    with pytest.raises(ValueError, match=r"shape: expected sizes from 0, got \(-?\d, -?\d\)"):
        cls()(shape)


@every
def test_fractional_sizes_are_refused(cls):
    with pytest.raises(TypeError, match=r"shape: expected an integer, got 2\.0"):
        cls()((2.0, 3))


@every
def test_is_immutable(cls):
    with pytest.raises(FrozenInstanceError):
        cls().seed = 4


@every_random
def test_integer_seed_gives_the_same_array_every_call(cls):
    made = cls(seed=7)
    np.testing.assert_array_equal(made((8, 8)), made((8, 8)))
    np.testing.assert_array_equal(made((8, 8)), cls(seed=np.int64(7))((8, 8)))
    assert not np.array_equal(made((8, 8)), cls(seed=8)((8, 8)))


@every_random
def test_no_seed_gives_another_array_every_call(cls):
    made = cls()
    assert not np.array_equal(made((8, 8)), made((8, 8)))


@every_random
def test_set_random_seed_repeats_everything(cls):
    random.set_random_seed(5)
    first = [cls()((4, 4)), cls()((4, 4))]
    random.set_random_seed(5)
    np.testing.assert_array_equal([cls()((4, 4)), cls()((4, 4))], first)


@every_random
@pytest.mark.parametrize("seed", ["1", 1.0, [1]])
def test_seed_is_an_integer(cls, seed):
    with pytest.raises(TypeError, match="seed: expected an integer, got"):
        cls(seed=seed)


# ---- values --------------------------------------------------------------------------------------------------


def test_constants():
    np.testing.assert_array_equal(Zeros()((2, 3)), np.zeros((2, 3)))
    np.testing.assert_array_equal(Ones()(3), np.ones(3))
    np.testing.assert_array_equal(Constant(-2.5)((3, 1, 2)), np.full((3, 1, 2), -2.5))
    np.testing.assert_array_equal(Identity(2.0)((2, 3)), [[2, 0, 0], [0, 2, 0]])
    assert Constant(1.5)(()) == 1.5


TRUNCATED = stats.truncnorm(-2, 2)


@pytest.mark.parametrize(
    ("made", "expected"),
    [
        (RandomNormal(seed=1), stats.norm(0, 0.05)),
        (RandomNormal(2.0, 3.0, 1), stats.norm(2, 3)),
        (RandomUniform(seed=1), stats.uniform(-0.05, 0.1)),
        (RandomUniform(1.0, 3.0, 1), stats.uniform(1, 2)),
        (TruncatedNormal(seed=1), stats.truncnorm(-2, 2, 0, 0.05)),
        (TruncatedNormal(1.0, 2.0, 1), stats.truncnorm(-2, 2, 1, 2)),
        (GlorotUniform(1), stats.uniform(-math.sqrt(6 / 600), 2 * math.sqrt(6 / 600))),
        (GlorotNormal(1), stats.truncnorm(-2, 2, 0, math.sqrt(2 / 600) / TRUNCATED.std())),
        (HeUniform(1), stats.uniform(-math.sqrt(6 / 400), 2 * math.sqrt(6 / 400))),
        (HeNormal(1), stats.truncnorm(-2, 2, 0, math.sqrt(2 / 400) / TRUNCATED.std())),
        (LecunUniform(1), stats.uniform(-math.sqrt(3 / 400), 2 * math.sqrt(3 / 400))),
        (LecunNormal(1), stats.truncnorm(-2, 2, 0, math.sqrt(1 / 400) / TRUNCATED.std())),
    ],
    ids=repr,
)
def test_follows_its_distribution(made, expected):
    values = made((400, 200), "float64").ravel()
    low, high = expected.support()
    assert values.min() >= low
    assert values.max() <= high
    assert abs(values.mean() - expected.mean()) < 5 * expected.std() / math.sqrt(values.size)
    # Kolmogorov and Smirnov; the seed is fixed, so this either holds or does not.
    assert stats.kstest(values, expected.cdf).pvalue > 1e-3


@pytest.mark.parametrize(
    ("mode", "distribution"),
    list(product(["fan_in", "fan_out", "fan_avg"], ["truncated_normal", "normal", "untruncated_normal", "uniform"])),
)
def test_variance_scaling_has_the_variance_it_promises(mode, distribution):
    fan = {"fan_in": 300, "fan_out": 500, "fan_avg": 400}[mode]
    values = VarianceScaling(1.7, mode, distribution, seed=1)((300, 500), "float64")
    # The variance of a sample variance is at most 2/n times its square: a normal's, the widest of the three.
    assert values.var() == pytest.approx(1.7 / fan, rel=5 * math.sqrt(2 / values.size))


def test_variance_scaling_never_divides_by_less_than_one():
    values = VarianceScaling(3.0, "fan_in", "uniform", seed=1)((0, 5))
    assert values.shape == (0, 5)
    assert VarianceScaling(3.0, "fan_avg", "uniform", seed=1)(()) <= 3.0


def test_named_recipes_are_variance_scaling():
    for cls, (scale, mode, distribution) in {
        GlorotUniform: (1.0, "fan_avg", "uniform"),
        GlorotNormal: (1.0, "fan_avg", "truncated_normal"),
        HeUniform: (2.0, "fan_in", "uniform"),
        HeNormal: (2.0, "fan_in", "truncated_normal"),
        LecunUniform: (1.0, "fan_in", "uniform"),
        LecunNormal: (1.0, "fan_in", "truncated_normal"),
    }.items():
        np.testing.assert_array_equal(
            cls(seed=2)((3, 3, 4, 8)), VarianceScaling(scale, mode, distribution, seed=2)((3, 3, 4, 8))
        )


@pytest.mark.parametrize(
    ("shape", "expected"),
    [((), (1, 1)), ((5,), (5, 5)), ((64, 10), (64, 10)), ((7, 3, 5), (21, 35)), ((3, 3, 16, 32), (144, 288))],
)
def test_fans(shape, expected):
    assert compute_fans(shape) == expected


@pytest.mark.parametrize("shape", [(6, 6), (9, 4), (4, 9), (3, 3, 2, 5), (2, 2, 40)])
def test_orthogonal(shape):
    gain = 1.5
    matrix = Orthogonal(gain, seed=1)(shape, "float64").reshape(-1, shape[-1])
    rows, columns = matrix.shape
    product = matrix.T @ matrix if rows >= columns else matrix @ matrix.T
    np.testing.assert_allclose(product, gain**2 * np.eye(min(rows, columns)), atol=1e-12)


def test_orthogonal_is_uniformly_distributed():
    """A QR whose signs were left as they come would make the first entry negative always."""
    random.set_random_seed(1)
    first = np.array([Orthogonal()((2, 2))[0, 0] for _ in range(400)])
    assert abs((first > 0).sum() - 200) < 5 * 10


# ---- refused arguments ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: RandomNormal(stddev=-1.0), r"stddev: expected a finite number from 0, got -1\.0"),
        (lambda: TruncatedNormal(stddev=-1.0), r"stddev: expected a finite number from 0, got -1\.0"),
        (lambda: RandomNormal(mean=math.nan), "mean: expected a finite number, got nan"),
        (lambda: RandomUniform(maxval=math.inf), "maxval: expected a finite number, got inf"),
        (lambda: RandomUniform(1.0, 0.0), r"minval: expected a number up to maxval 0\.0, got 1\.0"),
        (lambda: Constant(math.nan), "value: expected a finite number, got nan"),
        (lambda: Orthogonal(math.inf), "gain: expected a finite number, got inf"),
        (lambda: VarianceScaling(scale=0.0), r"scale: expected a finite number above 0, got 0\.0"),
        (lambda: VarianceScaling(mode="fan"), "mode: expected 'fan_in', 'fan_out' or 'fan_avg', got 'fan'"),
        (
            lambda: VarianceScaling(distribution="gamma"),
            "distribution: expected 'truncated_normal', 'untruncated_normal' or 'uniform', got 'gamma'",
        ),
        (lambda: Identity()((2, 2, 2)), r"shape: expected 2 axes for Identity, got \(2, 2, 2\)"),
        (lambda: Orthogonal()((2,)), r"shape: expected 2 axes or more for Orthogonal, got \(2,\)"),
        (lambda: Zeros()((2,), "int32"), "dtype: expected float32 or float64, got 'int32'"),
    ],
)
def test_refuses(make, message):
    with pytest.raises(ValueError, match=message):
        make()


# ---- get -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "cls"), list(NAMES.items()))
def test_get_by_name(name, cls):
    assert initializers.get(name) == cls()
    assert initializers.get(cls.__name__) == cls()
    assert initializers.get(cls) == cls()
    assert initializers.get({"class_name": name}) == cls()


def test_every_class_is_exported():
    assert {cls.__name__ for cls in NAMES.values()} <= set(initializers.__all__)


def test_get_keeps_what_can_be_called():
    made, function = HeNormal(seed=1), lambda shape, dtype=None: np.zeros(shape, dtype)
    assert initializers.get(made) is made
    assert initializers.get(function) is function
    assert initializers.get(None) is None


def test_serialize_what_is_no_initializer():
    def halves(shape, dtype=None):
        return np.full(shape, 0.5, dtype)

    assert initializers.serialize(None) is None
    assert initializers.serialize(halves) == "halves"


def test_get_keras_short_names():
    assert initializers.get("zero") == Zeros()
    assert initializers.get("one") == Ones()
    assert initializers.get("normal") == RandomNormal()
    assert initializers.get("uniform") == RandomUniform()


def test_get_names_the_argument_and_the_choices():
    with pytest.raises(ValueError, match=r"kernel_initializer: 'glorrot' is not known; known are constant, glorot_n"):
        initializers.get("glorrot", "kernel_initializer")
    with pytest.raises(ValueError, match="bias_initializer: 'Nope' is not known"):
        initializers.get({"class_name": "Nope", "config": {}}, "bias_initializer")
    with pytest.raises(TypeError, match=r"initializer: expected a name or an? Initializer, got {'name': 'zeros'}"):
        initializers.get({"name": "zeros"})
    with pytest.raises(TypeError, match="unexpected keyword argument 'scale'"):
        initializers.get({"class_name": "HeNormal", "config": {"scale": 1}})
    for wrong in (3, 1.5, [1], dict, object()):
        with pytest.raises(TypeError, match=r"initializer: expected a name or an? Initializer"):
            initializers.get(wrong)


def test_an_initializer_of_your_own_in_the_keras_manner():
    class Twos(initializers.Initializer):
        def __call__(self, shape, dtype=None):
            return np.full(shape, 2, config.standardize_dtype(dtype))

    assert Twos().get_config() == {}
    assert initializers.get(Twos)((2,)).tolist() == [2, 2]


# ---- keys ----------------------------------------------------------------------------------------------------


def test_derive_agrees_with_splitmix64():
    """The first outputs of the published generator, seeded with 0."""
    gamma = 0x9E3779B97F4A7C15
    assert random.derive(0) == 0xE220A8397B1DCDAF
    assert random.derive(gamma) == 0x6E789E6AA1B965F4
    assert random.derive(2 * gamma) == 0x06C45D188009454F


integers = st.integers(-(2**70), 2**70)


@given(st.lists(integers, min_size=1, max_size=5))
def test_derive_is_a_64_bit_function_of_integers_modulo_2_to_64(numbers):
    key = random.derive(*numbers)
    assert 0 <= key < 2**64
    assert key == random.derive(*(n % 2**64 for n in numbers))


@given(st.lists(st.integers(0, 2**64 - 1), min_size=1, max_size=3), st.integers(0, 2), st.integers(0, 63))
def test_derive_spreads_every_bit(numbers, place, bit):
    changed = list(numbers)
    changed[place % len(numbers)] ^= 1 << bit
    # 64 fair coins: fewer than 8 or more than 56 heads has probability 1e-10.
    assert 8 <= (random.derive(*numbers) ^ random.derive(*changed)).bit_count() <= 56


def test_derive_tells_order_and_number_apart():
    keys = {random.derive(*numbers) for n in (1, 2, 3) for numbers in product(range(10), repeat=n)}
    assert len(keys) == 10 + 100 + 1000


def test_derive_wants_integers():
    with pytest.raises(TypeError, match=r"integers: expected an integer, got 1\.5"):
        random.derive(1.5)
    with pytest.raises(TypeError, match="at least one integer"):
        random.derive()


def test_next_key_is_a_function_of_the_seed_and_the_count():
    random.set_random_seed(2**64 - 1)
    keys = [random.next_key() for _ in range(1000)]
    random.set_random_seed(2**64 - 1)
    assert [random.next_key() for _ in range(1000)] == keys
    assert len(set(keys)) == 1000
    random.set_random_seed(0)
    assert random.next_key() not in keys


def test_threads_never_share_a_key():
    random.set_random_seed(1)
    with ThreadPoolExecutor(8) as pool:
        keys = list(pool.map(lambda _: random.next_key(), range(4000)))
    random.set_random_seed(1)
    assert sorted(keys) == sorted(random.next_key() for _ in range(4000))


@pytest.mark.parametrize(
    ("seed", "error"), [(-1, ValueError), (2**64, ValueError), (1.0, TypeError), (None, TypeError)]
)
def test_set_random_seed_refuses(seed, error):
    with pytest.raises(error, match="seed: expected"):
        random.set_random_seed(seed)


def test_generators_of_different_keys_are_independent():
    a, b = (random.generator(key).standard_normal(10_000) for key in (1, 2))
    assert abs(np.corrcoef(a, b)[0, 1]) < 5 / math.sqrt(10_000)
    np.testing.assert_array_equal(random.generator(2**64 - 1).random(4), random.generator(2**64 - 1).random(4))


def run(code):
    return subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout.split()


def test_without_a_seed_every_process_is_different():
    code = "from nbnet import random; print(random.next_key())"
    assert run(code) != run(code)


FORK = """
import os
from nbnet import random
{seed}
def key_of_child():
    read, write = os.pipe()
    if os.fork() == 0:
        os.write(write, str(random.next_key()).encode())
        os._exit(0)
    os.wait()
    return os.read(read, 100).decode()
print(key_of_child(), key_of_child())
print(random.next_key())
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system cannot fork")
def test_forked_children():
    assert len(set(run(FORK.format(seed="")))) == 3
    assert len(set(run(FORK.format(seed="random.set_random_seed(1)")))) == 1


# ---- the default dtype ---------------------------------------------------------------------------------------


def test_floatx():
    assert config.floatx() == "float32"
    assert config.standardize_dtype(None) == np.float32
    config.set_floatx("float64")
    try:
        assert config.floatx() == "float64"
        assert config.standardize_dtype(None) == np.float64
    finally:
        config.set_floatx("float32")


@pytest.mark.parametrize("dtype", ["float64", np.float64, np.dtype("float64"), float, "f8"])
def test_standardize_dtype(dtype):
    assert config.standardize_dtype(dtype) is np.dtype("float64")


@pytest.mark.parametrize("dtype", ["float16", "int32", int, bool, "complex64", "nonsense", 3, ">f4"])
def test_other_dtypes_are_refused(dtype):
    with pytest.raises(ValueError, match=r"^dtype: expected float32 or float64, got"):
        config.standardize_dtype(dtype)
    with pytest.raises(ValueError, match=r"^value: expected float32 or float64, got"):
        config.set_floatx(dtype)
    assert config.floatx() == "float32"


def test_set_floatx_wants_a_dtype():
    with pytest.raises(ValueError, match=r"^value: expected float32 or float64, got None"):
        config.set_floatx(None)


def test_import_is_cheap():
    loaded = run(
        "import sys, nbnet.initializers, nbnet.data, nbnet.callbacks.callback, nbnet.callbacks.progress;"
        "print(*sorted({'scipy', 'sklearn', 'tqdm', 'matplotlib'} & set(sys.modules)))"
    )
    assert loaded == []


def test_constants_may_be_arrays() -> None:
    made = initializers.Constant(np.array([[1.0], [2.0]]))
    np.testing.assert_array_equal(made((2, 3)), [[1.0] * 3, [2.0] * 3])
    again = initializers.deserialize(initializers.serialize(made))
    assert again == made
    with pytest.raises(ValueError, match="value: has shape"):
        made((3, 3))
    with pytest.raises(ValueError, match="value: expected finite numbers"):
        initializers.Constant([1.0, np.inf])


def test_axes_of_inputs_and_outputs() -> None:
    assert initializers.compute_fans((512, 8, 64), [0], [1, 2]) == (512, 512)
    made = initializers.VarianceScaling(2.0, seed=1, input_axes=[0], output_axes=[1, 2])
    assert made((200, 30, 20)).std() == pytest.approx(np.sqrt(2 / 200), rel=0.02)
    preset = initializers.HeNormal(seed=1, input_axes=[0], output_axes=[1, 2])
    np.testing.assert_array_equal(preset((8, 3, 2)), initializers.HeNormal(seed=1)((8, 6)).reshape(8, 3, 2))
    assert initializers.deserialize(initializers.serialize(preset)) == preset
    with pytest.raises(ValueError, match="input_axes, output_axes: expected axes of shape"):
        preset((3, 2))


def test_generators_of_seeds_and_arrays() -> None:
    """Each call of an initializer takes the next seed of its generator; a configuration names the generator."""
    made = [initializers.GlorotUniform(nb.random.SeedGenerator(3)) for _ in range(2)]
    first, second = ([one((4, 2)) for _ in range(2)] for one in made)
    np.testing.assert_array_equal(first, second)
    assert (first[0] != first[1]).any()
    again = made[0].clone()
    assert again.get_config() == json.loads(json.dumps(made[0].get_config()))
    np.testing.assert_array_equal(again((4, 2)), first[0])
    values = np.arange(6.0, dtype="float32").reshape(2, 3)
    for array in (values, nb.tensor(values)):
        layer = nb.layers.Dense(3, kernel_initializer=array)
        np.testing.assert_array_equal(layer(np.eye(2)).numpy(), values)
        twin = nb.layers.Dense.from_config(json.loads(json.dumps(layer.get_config())))
        np.testing.assert_array_equal(twin(np.eye(2)).numpy(), values)
    with pytest.raises(ValueError, match="does not broadcast"):
        initializers.get(values)((10, 10))


def test_short_time_fourier_transforms() -> None:
    """A frame times the kernels is its discrete Fourier transform, seen through the window."""
    frame = np.random.default_rng(0).normal(size=8)
    hamming = 0.54 - 0.46 * np.cos(2 * np.pi * np.arange(8) / 8)
    for arguments, window in (
        ((None,), np.ones(8)),
        (("hamming", None, True), hamming),
        (("hamming", "spectrum", True), hamming / hamming.sum()),
        ((range(1, 9), "density"), np.arange(1, 9) / np.sqrt(204)),
    ):
        made = [initializers.STFT(side, *arguments) for side in ("real", "imag")]
        real, imag = (np.tensordot(frame, one((8, 1, 5), "float64"), 1)[0] for one in made)
        np.testing.assert_allclose(real + 1j * imag, np.fft.rfft(frame * window), rtol=1e-12, atol=1e-12)
        assert initializers.deserialize(json.loads(json.dumps(initializers.serialize(made[0])))) == made[0]
    for arguments, words in (
        (("both",), "side: expected"), (("real", "unknown"), "window: expected a window of scipy.signal"),
        (("real", [[1.0]]), "window: expected a name or finite numbers"), (("real", None, "l2"), "scaling: expected"),
    ):  # fmt: skip
        with pytest.raises(ValueError, match=words):
            initializers.STFT(*arguments)
    with pytest.raises(ValueError, match="window: expected 7 values"):
        initializers.STFT("real", np.ones(8))((7, 1, 5))
    with pytest.raises(ValueError, match="shape: expected"):
        initializers.STFT()((8, 5))
