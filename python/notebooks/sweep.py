"""A sweep of your own to a figure for a paper, with polars and matplotlib."""

import marimo

app = marimo.App()


@app.cell
def _():
    import tempfile

    import marimo as mo
    import matplotlib
    import polars as pl
    import retrodict

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    mo.md("# From a sweep to a figure\n\nDoes a tied head help at every learning rate?")
    return mo, pl, plt, retrodict, tempfile


@app.cell
def _(retrodict, tempfile):
    spec = retrodict.Spec.ready("reversal-quick").set(data__vocab_size=60, train__epochs=60)
    out = tempfile.mkdtemp()
    runs = retrodict.sweep(
        spec, model__tie_head=[False, True], train__lr=[1e-3, 3e-3, 1e-2], seeds=3, out=out
    )
    return out, runs


@app.cell
def _(pl, runs):
    # The table crosses to polars without a copy.
    frame = pl.DataFrame(runs.table())
    means = (
        frame.group_by("model.tie_head", "train.lr")
        .agg(
            pl.col("rank_held_out").mean().alias("rank"),
            pl.col("rank_held_out").std().alias("std"),
        )
        .sort("model.tie_head", "train.lr")
    )
    means
    return frame, means


@app.cell
def _(means, plt):
    figure, axes = plt.subplots(figsize=(4, 3), layout="constrained")
    for (tied,), group in means.group_by("model.tie_head", maintain_order=True):
        label = "tied head" if tied else "free head"
        axes.errorbar(group["train.lr"], group["rank"], group["std"], marker="o", label=label)
    axes.axhline(0.5, color="grey", linestyle=":", label="chance")
    axes.set(xscale="log", xlabel="learning rate", ylabel="rank of the partner (0 is first)")
    axes.legend(frameon=False)
    figure
    return axes, figure


if __name__ == "__main__":
    app.run()
