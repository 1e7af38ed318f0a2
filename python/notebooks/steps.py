"""Watch asymmetry arise, step by step."""

import marimo

app = marimo.App()


@app.cell
def _():
    import marimo as mo
    import numpy as np
    import retrodict

    mo.md(
        """
        # Asymmetry, step by step

        `Trainer` makes one step at a time, in the order of a run with the same seed. Between steps
        you may look at, or change, everything.
        """
    )
    return mo, np, retrodict


@app.cell
def _(np, retrodict):
    spec = retrodict.Spec.ready("reversal-quick").set(data__vocab_size=60)
    trainer = retrodict.Trainer(spec, seed=0)
    watched = []

    def watch(trainer):
        weights = trainer.effective_weights()
        margin = {
            group: np.diag(weights[group]).mean() - weights[group].mean()
            for group in ("held_out_seen", "held_out_unseen")
        }
        held_out = trainer.evaluate().nll.mean()
        watched.append((trainer.step_count, held_out, trainer.indexes()["asymmetry"], *margin.values()))

    losses = trainer.train(60 * trainer.steps_per_epoch, every=trainer.steps_per_epoch, callback=watch)
    return losses, trainer, watched


@app.cell
def _(mo, np, watched):
    table = np.array(watched, dtype=float)
    rows = "\n".join(
        f"| {int(step)} | {nll:.2f} | {asymmetry:.2f} | {seen:.2f} | {unseen:.2f} |"
        for step, nll, asymmetry, seen, unseen in table[:: max(1, len(table) // 12)]
    )
    mo.md(
        "| step | held-out NLL | asymmetry | margin, seen | margin, unseen |\n|---|---|---|---|---|\n"
        + rows
    )
    return (table,)


if __name__ == "__main__":
    app.run()
