"""Test a remedy of your own: a transform of the data, and a term of the loss written in Python."""

import marimo

app = marimo.App()


@app.cell
def _():
    import marimo as mo
    import numpy as np
    import retrodict

    mo.md(
        """
        # A remedy of your own

        1. *Data*: append some reversed sentences.
        2. *Loss*: penalise the difference between the logit of y after x and that of x after y. Its
           gradient with respect to the logits is a line of NumPy; `backward` turns it into one of
           the parameters.
        """
    )
    return mo, np, retrodict


@app.cell
def _(retrodict):
    spec = retrodict.Spec.ready("reversal-quick").set(data__vocab_size=60, model__dropout=0)
    steps = 40 * retrodict.Trainer(spec).steps_per_epoch

    def rank(trainer):
        """0 is first, 0.5 is chance."""
        return trainer.ranks()["rank_held_out"]

    plain = retrodict.Trainer(spec, seed=0)
    plain.train(steps)
    baseline = rank(plain)
    return baseline, rank, spec, steps


@app.cell
def _(np, rank, retrodict, spec, steps):
    # The transform: every second held-out sentence is trained too.
    data = retrodict.data("reversal", seed=0, vocab_size=60)
    sentences = np.concatenate([data.train, data.held_out[::2]])
    augmented = retrodict.Trainer(spec, seed=0, sentences=sentences)
    augmented.train(steps)
    with_data = rank(augmented)
    return data, with_data


@app.cell
def _(np, rank, retrodict, spec, steps):
    # The term: (logit of y after x − logit of x after y)², over pairs of entities.
    remedied = retrodict.Trainer(spec, seed=0)
    pairs = remedied.dataset.questions("held_out_seen")
    left, right = pairs["source"][:, 0], pairs["answer"][:, 0]
    rng = np.random.default_rng(0)
    strength = 0.3

    def term(trainer):
        """The gradients of the term by parameter."""
        y = rng.permutation(right)
        contexts = np.concatenate([left, y])[:, None]
        logits = trainer.logits(contexts)
        at = np.arange(len(left))
        difference = logits[at, y] - logits[len(left) + at, left]
        slopes = np.zeros_like(logits, dtype=float)
        slopes[at, y] = 2 * strength * difference / len(left)
        slopes[len(left) + at, left] = -2 * strength * difference / len(left)
        return trainer.backward(contexts, slopes)

    order = np.random.default_rng(1)
    batch_size = min(spec["train"]["batch_size"], len(remedied.sentences))
    for _step in range(steps):
        batch = order.choice(remedied.sentences, batch_size, replace=False)
        gradients = remedied.gradients(batch)
        for name, values in term(remedied).items():
            gradients[name] = gradients[name] + values
        remedied.update(gradients)
    with_term = rank(remedied)
    return (with_term,)


@app.cell
def _(baseline, mo, with_data, with_term):
    mo.md(
        f"""
        | | rank of the partner among held-out answers |
        |---|---|
        | nothing | {baseline:.2f} |
        | half of the reversals trained | {with_data:.2f} |
        | symmetric logits | {with_term:.2f} |
        """
    )
    return


if __name__ == "__main__":
    app.run()
