"""The curse in three minutes."""

import marimo

app = marimo.App()


@app.cell
def _():
    import marimo as mo
    import tempfile

    import numpy as np
    import retrodict

    mo.md(
        """
        # The curse in three minutes

        A model is trained on "A → B". Does it know "B ← A"? We train small GPT-2 models from
        scratch on made-up pairs, and ask for the direction that they have not seen.
        """
    )
    return mo, np, retrodict, tempfile


@app.cell
def _(retrodict):
    spec = retrodict.Spec.ready("reversal-quick").set(train__epochs=60)
    spec
    return (spec,)


@app.cell
def _(retrodict, spec, tempfile):
    out = tempfile.mkdtemp()
    runs = retrodict.run(spec, seeds=3, out=out)
    runs
    return out, runs


@app.cell
def _(runs):
    runs.figure()
    return


@app.cell
def _(mo, np, runs, spec):
    uniform = np.log(spec.vocab)
    train = runs["train_nll"].mean()
    held_out = runs["held_out_nll"].mean()
    mo.md(
        f"""
        Training sentences end at {train:.2f} nats. The reversals end at {held_out:.2f}, and a
        uniform guess has {uniform:.2f}: the model has learned every fact in one direction, and in
        the other it is no better than someone who has never read it.
        """
    )
    return held_out, train, uniform


@app.cell
def _(runs):
    # Why: the effective weights of the seen direction have a diagonal, those of the other none.
    runs[0].figure()
    return


@app.cell
def _(runs):
    asymmetry = runs["asymmetry"]
    {"asymmetry (1 is the whole curse)": asymmetry.mean()}
    return (asymmetry,)


if __name__ == "__main__":
    app.run()
