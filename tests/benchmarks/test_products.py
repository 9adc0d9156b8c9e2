"""Products are called as each library expects, and the table lists what was measured."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks import products
from benchmarks.products import Line, Operands, Product, Repeat, addresses, products_of
from tests.engine.toys import compiled_only


def test_products_of_a_step() -> None:
    found = [(p.form, p.m, p.n, p.k) for p in products_of((5, 4, 3), 2)]
    assert found == [
        ("x w", 2, 4, 5),
        ("x' dy", 5, 4, 2),
        ("x w", 2, 3, 4),
        ("x' dy", 4, 3, 2),
        ("dy w'", 2, 4, 3),
    ]


@compiled_only
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("product", list(products_of((7, 6, 5), 4)))
def test_every_library_computes_the_product(product: Product, dtype: str) -> None:
    p, operands = product, Operands(product, dtype, cold=False)
    a, b = (v[0] for v in (operands.a, operands.b))
    x = a.reshape(p.k, p.m).T if p.ta else a.reshape(p.m, p.k)
    y = b.reshape(p.n, p.k).T if p.tb else b.reshape(p.k, p.n)
    for name, address in addresses(dtype).items():
        operands.c[:] = np.nan
        assert Repeat()(address, operands.own if name == "own" else operands.fortran, 3) > 0
        np.testing.assert_allclose(operands.c[0].reshape(p.m, p.n), x @ y, rtol=1e-5, atol=1e-6)


def test_cold_operands_take_turns() -> None:
    operands = Operands(Product("x w", 64, 512, 512), "float32", cold=True)
    assert operands.copies > 1
    assert len({int(row[0]) for row in operands.own}) == operands.copies
    assert all(int(row[0]) % 64 == 0 for row in operands.own)


def test_a_share_of_the_first_factor_is_zero() -> None:
    operands = Operands(Product("x w", 64, 32, 512), "float32", cold=False, zeros=0.75)
    assert np.mean(operands.a == 0) == pytest.approx(0.75, abs=0.02)
    assert (operands.b != 0).all()
    with pytest.raises(SystemExit):
        products.main(["--zeros", "1.5"])


def test_ratios_are_to_the_fastest_library() -> None:
    lines = [
        Line(product, True, {"own": [2.0], "openblas": [4.0], "mkl": [1.0 if product.form == "x w" else 8.0]})
        for product in products_of((5, 4), 2)
    ]
    assert [row.split()[-1] for row in products.report(lines).splitlines()] == ["best", "0.50", "2.00"]
    assert products.share((5, 4), 2, lines) == (1 + 4) / 4


@compiled_only
def test_what_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    products.main(["--workloads", "tiny", "--rounds", "1", "--seconds", "1e-6"])
    out = capsys.readouterr().out
    assert "tiny, 16 rows" in out
    assert "own / best of a step's products, cold:" in out


@pytest.mark.parametrize("option", ["--rounds", "--seconds"])
def test_arguments_are_checked(option: str) -> None:
    with pytest.raises(SystemExit):
        products.main([option, "0"])
