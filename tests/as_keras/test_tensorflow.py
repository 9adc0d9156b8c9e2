"""``tensorflow`` as scripts use it beside Keras: its functions give TensorFlow's numbers."""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import nbnet as nb


@pytest.fixture
def tf() -> Iterator[Any]:
    with nb.install_as_keras():
        yield importlib.import_module("tensorflow")


#: Expressions, and their values by the definitions of TensorFlow.
VALUES = {
    "tf.constant([[1.0, 2.0], [3.0, 4.0]])": [[1, 2], [3, 4]],
    "tf.constant(2, shape=(2, 2))": [[2, 2], [2, 2]],
    "tf.reduce_sum(tf.constant([[1.0, 2.0], [3.0, 4.0]]), axis=0)": [4, 6],
    "tf.reduce_mean([1.0, 2.0, 6.0])": 3,
    "tf.math.reduce_std([1.0, 3.0])": 1,
    "tf.matmul([[1.0, 2.0]], [[3.0, 4.0]], transpose_b=True)": [[11]],
    "tf.argmax([[1.0, 5.0], [7.0, 2.0]])": [1, 0],
    "tf.argmax([[1.0, 5.0], [7.0, 2.0]], axis=1)": [1, 0],
    "tf.range(3)": [0, 1, 2],
    "tf.range(1.0, 2.0, 0.5)": [1, 1.5],
    "tf.split(tf.range(5.0), [2, -1])[1]": [2, 3, 4],
    "tf.concat([[[1.0]], [[2.0]]], axis=1)": [[1, 2]],
    "tf.one_hot([0, 2], 3, on_value=5.0, off_value=1.0)": [[5, 1, 1], [1, 1, 5]],
    "tf.gather([[1.0, 2.0], [3.0, 4.0]], [1, 0])": [[3, 4], [1, 2]],
    "tf.gather_nd([[1.0, 2.0], [3.0, 4.0]], [[1, 0], [0, 1]])": [3, 2],
    "tf.boolean_mask([1.0, 2.0, 3.0], [True, False, True])": [1, 3],
    "tf.where([True, False, True])": [[0], [2]],
    "tf.pad([[1.0]], [[0, 1], [1, 0]])": [[0, 1], [0, 0]],
    "tf.cumsum([1.0, 2.0, 3.0], exclusive=True)": [0, 1, 3],
    "tf.cumsum([1.0, 2.0, 3.0], reverse=True)": [6, 5, 3],
    "tf.sort([3.0, 1.0, 2.0], direction='DESCENDING')": [3, 2, 1],
    "tf.clip_by_norm([3.0, 4.0], 1.0)": [0.6, 0.8],
    "tf.clip_by_global_norm([tf.constant([3.0]), tf.constant([4.0])], 1.0)[1]": 5,
    "tf.nn.sigmoid_cross_entropy_with_logits([1.0], [-100.0])": [100],
    "tf.nn.softmax_cross_entropy_with_logits([[0.0, 1.0]], [[0.0, 0.0]])": [0.693147],
    "tf.nn.sparse_softmax_cross_entropy_with_logits([1], [[0.0, 0.0]])": [0.693147],
    "tf.nn.l2_normalize([3.0, 4.0])": [0.6, 0.8],
    "tf.math.confusion_matrix([0, 1, 1], [0, 0, 1])": [[1, 0], [1, 1]],
    "tf.image.flip_left_right([[[1.0], [2.0]]])": [[[2], [1]]],
    "tf.image.resize([[[0.0], [4.0]]], (1, 4))": [[[0], [1], [3], [4]]],
    "tf.shape(tf.zeros((2, 3)))": [2, 3],
    "tf.squeeze(tf.zeros((1, 2, 1)), axis=[0, 2])": [0, 0],
    "tf.Variable([1.0]).assign_add([2.0])": [3],
    "tf.cast([1.7], tf.int32)": [1],
    "tf.keras.layers.Dense(tf.reduce_prod((2, 3)).numpy()).units": 6,
    "tf.random_normal_initializer(5.0, 0.0)((2,))": [5, 5],
    "tf.zeros_initializer()((2,), dtype='float32')": [0, 0],
    "tf.Variable([1.0, 2.0, 3.0])[1:].assign([5.0, 6.0])": [1, 5, 6],
    "tf.Variable([[1.0, 2.0]]).scatter_nd_update([[0, 1]], [7.0])": [[1, 7]],
    "tf.Variable(7).assign_add(1)": 8,
    "tf.strings.length(tf.strings.join([['a', 'bc'], ['d', 'e']], separator='-'))": [3, 4],
    "tf.strings.to_number(tf.strings.strip([' 1.5 ', '2']))": [1.5, 2],
    "tf.strings.regex_replace(tf.strings.lower(['A<br>B', 'C']), '<br>', ' ') == np.array(['a b', 'c'])": [True, True],
    "tf.expand_dims(np.array(['a', 'b'], object), -1).shape": [2, 1],
    "tf.keras.metrics.Accuracy()(tf.constant([1, 2]), tf.constant([1, 3]))": 0.5,
    "tf.keras.metrics.Mean()([1.0, 2.0]).numpy()": 1.5,
    "tf.keras.metrics.F1Score()([[1.0, 0.0]], [[1.0, 0.0]]).numpy()": [1, 0],
    "tf.map_fn(lambda x: x * 2, tf.constant([1.0, 2.0]))": [2, 4],
}


@pytest.mark.parametrize("expression", VALUES)
def test_values(tf: Any, expression: str) -> None:
    np.testing.assert_allclose(np.asarray(eval(expression)), VALUES[expression], rtol=1e-5)


def test_gradients(tf: Any) -> None:
    v, x = tf.Variable(2.0), tf.constant(3.0)
    with tf.GradientTape(persistent=True) as tape:
        tape.watch(x)
        y = v * x * x
    assert [g.item() for g in tape.gradient(y, [v, x])] == [9.0, 12.0]
    assert tape.gradient(y, v).item() == 9.0
    # Two tapes at once, as for the two networks of a GAN.
    with tf.GradientTape() as first, tf.GradientTape() as second:
        a, b = v * 3.0, v * 5.0
    assert (first.gradient(a, v).item(), second.gradient(b, v).item()) == (3.0, 5.0)


def test_gradients_of_gradients_are_refused(tf: Any) -> None:
    v = tf.Variable(2.0)
    with tf.GradientTape():
        with tf.GradientTape() as inner:
            y = v * v
        with pytest.raises(NotImplementedError, match="second order"):
            inner.gradient(y, v)


def test_a_training_loop(tf: Any) -> None:
    keras = tf.keras
    tf.random.set_seed(1)
    x = np.linspace(-1, 1, 64, dtype="float32")[:, None]
    model = keras.Sequential([keras.layers.Dense(8, activation="tanh"), keras.layers.Dense(1)])
    optimizer, loss_fn = keras.optimizers.Adam(0.05), keras.losses.MeanSquaredError()

    @tf.function
    def step(a: Any, b: Any) -> Any:
        with tf.GradientTape() as tape:
            loss = loss_fn(b, model(a, training=True))
        gradients = tape.gradient(loss, model.trainable_variables)
        optimizer.apply_gradients(zip(gradients, model.trainable_variables, strict=True))
        return loss

    data = tf.data.Dataset.from_tensor_slices((x, x**2)).shuffle(64).batch(16)
    losses = [float(step(a, b)) for _ in range(40) for a, b in data]
    assert losses[-1] < 0.3 * losses[0]


def test_gradients_flow_through_parts_of_variables(tf: Any) -> None:
    v = tf.Variable([[1.0, 2.0], [3.0, 4.0]])
    with tf.GradientTape() as tape:
        y = tf.reduce_sum(v[1] * 5.0)
    assert tape.gradient(y, v).numpy().tolist() == [[0, 0], [5, 5]]
    with pytest.raises(TypeError, match="tensors do not change"):
        tf.constant([1.0]).assign([2.0])


def test_checkpoints(tf: Any, tmp_path: Path) -> None:
    model = tf.keras.Sequential([tf.keras.layers.Dense(1, input_shape=(2,))])
    model.compile("adam", "mse")
    checkpoint = tf.train.Checkpoint(model=model, optimizer=model.optimizer, step=tf.Variable(1))
    manager = tf.train.CheckpointManager(checkpoint, tmp_path, max_to_keep=2)
    checkpoint.restore(manager.latest_checkpoint)
    for _ in range(3):
        model.fit(np.ones((4, 2)), np.ones(4), verbose=0)
        checkpoint.step.assign_add(1)
        manager.save()
    kept, state = model.get_weights(), model.optimizer.get_state()
    model.fit(np.ones((4, 2)), np.ones(4), verbose=0)
    checkpoint.step.assign(0)
    assert [path.name for path in sorted(tmp_path.iterdir())] == ["ckpt-2", "ckpt-3"]
    assert tf.train.latest_checkpoint(tmp_path) == manager.latest_checkpoint == str(tmp_path / "ckpt-3")
    checkpoint.restore(tf.train.latest_checkpoint(tmp_path)).assert_consumed()
    assert int(checkpoint.step) == 4
    assert (model.get_weights()[0] == kept[0]).all()
    assert all((model.optimizer.get_state()[name] == state[name]).all() for name in state)


def test_summaries(tf: Any, tmp_path: Path) -> None:
    pytest.importorskip("tensorboardX")
    with tf.summary.create_file_writer(str(tmp_path)).as_default():
        assert tf.summary.scalar("loss", 0.5, step=1)
        assert tf.summary.image("digits", np.zeros((2, 4, 4, 1)), step=1)
    assert not tf.summary.scalar("loss", 0.5, step=1)
    assert list(tmp_path.iterdir())


def test_an_optimizer_of_two_sets_of_weights(tf: Any) -> None:
    optimizer = tf.keras.optimizers.Adam(0.5)
    a, b = tf.Variable(1.0), tf.Variable([1.0, 2.0])
    for _ in range(2):
        for v in (a, b):
            optimizer.apply_gradients([(tf.ones_like(v), v)])
    np.testing.assert_allclose([float(a), *b.numpy()], [0, 0, 1], atol=1e-5)


# ---- tf.data ----

Rows = list[Any]


def rows(dataset: Any) -> Rows:
    return [
        np.asarray(e).tolist() if not isinstance(e, tuple) else [np.asarray(p).tolist() for p in e] for e in dataset
    ]


CHAINS: dict[str, Rows] = {
    "D.range(5).batch(2)": [[0, 1], [2, 3], [4]],
    "D.range(5).batch(2, drop_remainder=True)": [[0, 1], [2, 3]],
    "D.range(5).padded_batch(2, drop_remainder=True)": [[0, 1], [2, 3]],
    "D.range(2).repeat(2)": [0, 1, 0, 1],
    "D.range(2).repeat().take(3)": [0, 1, 0],
    "D.range(5).skip(3)": [3, 4],
    "D.range(5).shard(2, 1)": [1, 3],
    "D.range(2).concatenate(D.range(1))": [0, 1, 0],
    "D.range(2).enumerate(5)": [[5, 0], [6, 1]],
    "D.zip((D.range(2), D.range(5, 9)))": [[0, 5], [1, 6]],
    "D.range(4).window(2, shift=1, drop_remainder=True).flat_map(lambda w: w.batch(2))": [[0, 1], [1, 2], [2, 3]],
    "D.from_tensor_slices([1, 2, 3]).batch(2).unbatch()": [1, 2, 3],
    "D.from_tensor_slices(([1, 2], [3, 4])).map(lambda x, y: x + y).cache().prefetch(1)": [4, 6],
    "D.from_generator(lambda: iter([[1], [2]]), output_types='int32')": [[1], [2]],
    "D.from_generator(lambda: iter([[1], [2, 3]]), output_types='int32').padded_batch(2)": [[[1, 0], [2, 3]]],
}


@pytest.mark.parametrize("chain", CHAINS)
def test_datasets(tf: Any, chain: str) -> None:
    dataset = eval(chain, {"D": tf.data.Dataset})
    assert rows(dataset) == CHAINS[chain]
    assert rows(dataset) == CHAINS[chain]  # another pass
    if dataset.cardinality().numpy() >= 0:
        assert len(dataset) == len(CHAINS[chain])


def test_datasets_are_shuffled_anew_by_a_seed(tf: Any) -> None:
    def passes() -> tuple[Rows, Rows]:
        tf.random.set_seed(3)
        dataset = tf.data.Dataset.range(50).shuffle(50)
        return rows(dataset), rows(dataset)

    first, second = passes()
    assert sorted(first) == sorted(second) == list(range(50))
    assert first != second
    assert passes() == (first, second)
    fixed = tf.data.Dataset.range(50).shuffle(50, seed=1, reshuffle_each_iteration=False)
    assert rows(fixed) == rows(fixed)
    near = rows(tf.data.Dataset.range(50).shuffle(5))
    assert max(k - place for place, k in enumerate(near)) < 5


def test_models_take_datasets(tf: Any) -> None:
    x = np.linspace(0, 1, 40, dtype="float32").reshape(20, 2)
    dataset = tf.data.Dataset.from_tensor_slices((x, x[:, :1])).batch(8)
    model = tf.keras.Sequential([tf.keras.Input((2,)), tf.keras.layers.Dense(1, kernel_initializer="ones")])
    model.compile("sgd", "mse")
    want = model.evaluate(x, x[:, :1], verbose=0)
    assert model.evaluate(dataset, verbose=0) == pytest.approx(want, rel=1e-5)
    np.testing.assert_allclose(model.predict(dataset.map(lambda a, b: a), verbose=0), model.predict(x, verbose=0))
    history = model.fit(dataset.repeat(), steps_per_epoch=3, epochs=2, validation_data=dataset, verbose=0)
    assert len(history.history["val_loss"]) == 2


def test_datasets_of_files(tf: Any, tmp_path: Path) -> None:
    image = pytest.importorskip("PIL.Image")
    for name in "ab":
        (tmp_path / name).mkdir()
        for k in range(3):
            image.fromarray(np.full((4, 4, 3), k, np.uint8)).save(tmp_path / name / f"{k}.png")
    dataset = tf.keras.utils.image_dataset_from_directory(str(tmp_path), image_size=(4, 4), batch_size=4)
    assert dataset.class_names == ["a", "b"]
    shapes = [(x.shape, y.shape) for x, y in dataset.map(lambda x, y: (x / 255.0, y)).prefetch(tf.data.AUTOTUNE)]
    assert shapes == [((4, 4, 4, 3), (4,)), ((2, 4, 4, 3), (2,))]
    pytest.importorskip("pandas")
    (tmp_path / "t.csv").write_text("a,b,y\n1,x,0\n2,,1\n")
    rows = tf.data.experimental.make_csv_dataset(
        str(tmp_path / "t.csv"), 2, label_name="y", num_epochs=1, shuffle=False
    )
    ((columns, labels),) = list(rows)
    assert columns["a"].numpy().tolist() == [1, 2]
    assert labels.numpy().tolist() == [0, 1]
    assert list(columns["b"].numpy()) == ["x", ""]


@pytest.mark.parametrize(
    ("expression", "text"),
    [
        ("tf.Session", "no tf.Session: tensors have values at once"),
        ("tf.nonsense", "has no tf.nonsense"),
        ("tf.nn.nonsense", "tf.nn has no 'nonsense'"),
        ("tf.strings.nonsense", "has no 'nonsense'"),
        ("tf.feature_column", "use keras.layers.Normalization"),
    ],
)
def test_what_is_not_there_says_so(tf: Any, expression: str, text: str) -> None:
    with pytest.raises(AttributeError, match=text):
        eval(expression)


def test_there_is_one_cpu(tf: Any) -> None:
    assert tf.config.list_physical_devices("GPU") == []
    assert len(tf.config.experimental.list_physical_devices()) == 1
    assert not tf.test.is_gpu_available()
    with tf.device("/cpu:0"), tf.distribute.MirroredStrategy().scope():
        assert tf.executing_eagerly()
    tf.compat.v1.logging.set_verbosity(tf.compat.v1.logging.ERROR)
    assert tf.__version__.split(".")[0] == "2"
