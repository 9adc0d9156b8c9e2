"""Pictures of models: what is drawn, in which order, and by whom."""

from __future__ import annotations

import os
import shutil
import stat
from xml.etree import ElementTree

import pytest

import nbnet as nb
from nbnet.layers import Add, Concatenate, Dense, Dropout
from nbnet.utils import model_to_dot, plot_model
from nbnet.utils.model_plot import Show, diagram

SVG = "{http://www.w3.org/2000/svg}"


@pytest.fixture(autouse=True)
def no_graphviz(monkeypatch):
    monkeypatch.setattr("nbnet.utils.model_plot.find_dot", lambda: None)


def sequential():
    return nb.Sequential(
        [nb.Input((4,), name="x"), Dense(3, "relu", name="a<b"), Dropout(0.5, name="drop"), Dense(1, name="y")]
    )


def branched():
    """Two inputs, a model inside that is used twice, a skip over it, a function, two outputs."""
    inner_input = nb.Input((4,), name="inner_input")
    inner = nb.Model(inner_input, Dense(4, name="inside")(inner_input), name="inner")
    first, second = nb.Input((2,), name="first"), nb.Input((2,), name="second")
    both = Concatenate(name="both")([first, second])
    added = Add(name="added")([both, inner(inner(both))])
    return nb.Model([first, second], [Dense(1, name="one")(nb.ops.tanh(added)), Dense(1, name="two")(added)])


def names(model, **show):
    """First lines of boxes, and arrows between them."""
    made = diagram(model, Show(names=True, **show))
    said = {key: box.lines[0].split(" (")[0] for key, box in made.boxes.items()}
    return list(said.values()), [(said[a], said[b]) for a, b in made.arrows], made


def test_a_sequential_is_a_chain():
    boxes, arrows, _ = names(sequential())
    assert boxes == ["x", "a<b", "drop", "y"]
    assert arrows == [("x", "a<b"), ("a<b", "drop"), ("drop", "y")]


def test_what_boxes_say():
    made = diagram(sequential(), Show(shapes=True, dtype=True, names=True, activations=True, trainable=True))
    said = [box.lines for box in made.boxes.values()]
    assert said[0] == ("x (InputLayer)", "output: (None, 4)", "dtype: float32")
    assert said[1] == (
        "a<b (Dense)",
        "activation: relu",
        "input: (None, 4)",
        "output: (None, 3)",
        "dtype: float32",
        "trainable",
    )
    model = sequential()
    model.layers[0].trainable = False
    assert diagram(model, Show(trainable=True)).boxes["1"].lines == ("Dense", "not trainable")


def test_a_graph():
    boxes, arrows, _ = names(branched())
    assert sorted(boxes) == sorted(["first", "second", "both", "inner", "added", "tanh", "one", "two"])
    assert set(arrows) == {
        ("first", "both"),
        ("second", "both"),
        ("both", "inner"),
        ("inner", "inner"),
        ("both", "added"),
        ("inner", "added"),
        ("added", "tanh"),
        ("tanh", "one"),
        ("added", "two"),
    }


def test_a_model_inside_is_opened_on_demand():
    boxes, arrows, made = names(branched(), nested=True)
    assert {"inner_input", "inside"} < set(boxes)
    assert "inner" not in boxes
    assert {("both", "inner_input"), ("inner_input", "inside"), ("inside", "inner_input"), ("inside", "added")} < set(
        arrows
    )
    assert {box.inside for box in made.boxes.values()} == {(), ("inner",)}
    stacked = nb.Sequential([nb.Input((4,), name="x"), sequential(), Dense(1, name="last")])
    assert ("y", "last") in names(stacked, nested=True)[1]


def test_models_whose_calls_are_not_known():
    class Own(nb.Model):
        def call(self, x):
            return x

    assert names(nb.Sequential([Dense(2, name="p"), Dense(2, name="q")]))[:2] == (["p", "q"], [("p", "q")])
    assert names(Own(name="own"))[:2] == (["own"], [])
    assert len(ElementTree.fromstring(plot_model(Own(), None).content).findall(f".//{SVG}rect")) == 1


@pytest.mark.parametrize("rankdir", ["TB", "BT", "LR", "RL"])
@pytest.mark.parametrize("make", [sequential, branched])
def test_boxes_do_not_overlap_and_follow_the_direction(make, rankdir):
    picture = plot_model(make(), None, show_shapes=True, show_layer_names=True, rankdir=rankdir)
    root = ElementTree.fromstring(picture.content)
    width, height = float(root.get("width", 0)), float(root.get("height", 0))
    rectangles = []
    for rectangle in root.iter(f"{SVG}rect"):
        x, y, w, h = (float(rectangle.get(key, 0)) for key in ("x", "y", "width", "height"))
        assert 0 <= x <= x + w <= width
        assert 0 <= y <= y + h <= height
        assert not any(x < a + c and a < x + w and y < b + d and b < y + h for a, b, c, d in rectangles)
        rectangles.append((x, y, w, h))
    axis, sign = (1 if rankdir in ("TB", "BT") else 0), (1 if rankdir in ("TB", "LR") else -1)
    assert sign * (rectangles[-1][axis] - rectangles[0][axis]) > 0
    made = diagram(make(), Show())
    assert len(root.findall(f"{SVG}path")) == len(made.arrows)


def test_the_same_model_gives_the_same_picture():
    model = branched()
    assert plot_model(model, None, expand_nested=True) == plot_model(model, None, expand_nested=True)


def test_files_and_notebooks(tmp_path):
    picture = plot_model(sequential(), tmp_path / "m.svg", show_layer_names=True)
    assert (tmp_path / "m.svg").read_bytes() == picture.content
    assert picture._repr_svg_() == picture.content.decode()
    assert picture._repr_png_() is None
    assert b"a&lt;b" in picture.content
    assert b"a<b" not in picture.content
    model = sequential()
    plot_model(model, str(tmp_path / "m.dot"))
    assert (tmp_path / "m.dot").read_text() == model_to_dot(model, show_layer_names=False)


def test_dot_text_is_quoted():
    model = nb.Sequential([nb.Input((1,), name='say "hi" \\'), Dense(1, name="d")])
    assert r'"0" [label="say \"hi\" \\ (InputLayer)"]' in model_to_dot(model)
    assert model_to_dot(model, dpi=65).create(prog="dot", format="svg").startswith(b"<svg")
    source = model_to_dot(branched(), expand_nested=True)
    assert 'subgraph "cluster_inner" {' in source
    assert source.count("{") == source.count("}")


@pytest.mark.parametrize(
    ("arguments", "error", "text"),
    [
        ({"to_file": "m.png"}, ImportError, r"a .png file requires Graphviz, whose program dot .* ends in .svg"),
        ({"to_file": "model"}, ValueError, "to_file: expected a name with an ending such as .svg or .png, got 'model'"),
        ({"rankdir": "UP"}, ValueError, "rankdir: expected 'TB', 'BT', 'LR' or 'RL', got 'UP'"),
    ],
)
def test_errors(arguments, error, text, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(error, match=text):
        plot_model(sequential(), **arguments)
    assert not os.listdir(tmp_path)
    with pytest.raises(TypeError, match="model: expected a model, got Dense"):
        plot_model(Dense(1))  # type: ignore[arg-type]


@pytest.mark.skipif(os.name != "posix", reason="the stand-in for Graphviz is a shell script")
def test_graphviz_draws_if_it_is_there(tmp_path, monkeypatch):
    program = tmp_path / "dot"
    program.write_text('#!/bin/sh\necho "$@"\ncat\n')
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setattr("nbnet.utils.model_plot.find_dot", lambda: str(program))
    written = plot_model(sequential(), tmp_path / "m.png", dpi=70, rankdir="LR").content.decode()
    assert written.splitlines()[0] == "-Tpng -Gdpi=70"
    assert 'rankdir="LR"' in written
    program.write_text("#!/bin/sh\necho no such format >&2\nexit 1\n")
    with pytest.raises(RuntimeError, match="Graphviz made no png: no such format"):
        plot_model(sequential(), tmp_path / "m.png")


@pytest.mark.skipif(shutil.which("dot") is None, reason="needs Graphviz")
def test_graphviz_itself(tmp_path, monkeypatch):
    monkeypatch.setattr("nbnet.utils.model_plot.find_dot", lambda: shutil.which("dot"))
    assert plot_model(branched(), tmp_path / "m.png", expand_nested=True).content.startswith(b"\x89PNG")


def test_html_of_models_is_escaped():
    page = sequential()._repr_html_()
    cells = ["".join(cell.itertext()) for cell in ElementTree.fromstring(page).iter("td")]
    assert cells[:3] == ["a<b (Dense)", "(None, 3)", "15"]
    assert "a<b" not in page
    assert "Total params: 19" in page
    graph = ElementTree.fromstring(branched()._repr_html_())
    assert [cell.text for cell in graph.iter("th")] == ["Layer (type)", "Output Shape", "Param #", "Connected to"]
    ElementTree.fromstring(nb.Sequential([Dense(2)])._repr_html_())
