"""A check of the theory of your own."""

import marimo

app = marimo.App()


@app.cell
def _():
    import marimo as mo
    import numpy as np
    from retrodict import theory

    mo.md(
        """
        # A check of the theory

        Theorem 1: while the bilinear model learns its pairs, the loss on the reversals hardly
        falls. How does the exponent ln(L^rev/L^rev₀) / ln(L/L₀) depend on the dimension?
        """
    )
    return mo, np, theory


@app.cell
def _(theory):
    exponents = {}
    for dim in (30, 60, 120, 240):
        result = theory.bilinear(entities=30, dim=dim, t_max=1e4, points=20)
        exponents[dim] = result.series["exponent"][-1]
    exponents
    return exponents, result


@app.cell
def _(result):
    result
    return


@app.cell
def _(exponents, np):
    dims = np.array(list(exponents))
    slope = np.polyfit(np.log(dims), np.log(np.abs(list(exponents.values()))), 1)[0]
    slope
    return (slope,)


if __name__ == "__main__":
    app.run()
