"""Single steps: the bits of a run, own batches, gradients, losses and updates; hostile arrays."""

import os
import threading
import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import retrodict
from retrodict import Spec, Trainer


@pytest.fixture
def trainer(spec):
    return Trainer(spec, seed=0)


def loss_gradient(trainer, batch):
    """The cross-entropy of the last token, and its gradient with respect to the logits."""
    contexts, answers = batch[:, :-1], batch[:, -1]
    logits = trainer.logits(contexts).astype(float)
    p = np.exp(logits - logits.max(1, keepdims=True))
    p /= p.sum(1, keepdims=True)
    rows = np.arange(len(batch))
    loss = -np.log(p[rows, answers]).mean()
    p[rows, answers] -= 1
    return contexts, loss, p / len(batch)


def test_steps_are_those_of_a_run(spec, runs, trainer):
    total = 6 * trainer.steps_per_epoch
    half = total // 2
    losses = [trainer.step() for _ in range(half)] + trainer.train(total - half).tolist()
    assert trainer.step_count == total and trainer.epoch == 6
    run = runs[0]
    for name, values in run.parameters().items():
        assert trainer.parameters[name].tobytes() == values.tobytes(), name
    per_epoch = np.reshape(losses, (6, -1)).mean(1)
    np.testing.assert_allclose(per_epoch, run.metrics["train_nll"], rtol=1e-15)
    scores = trainer.evaluate()
    assert scores.nll.mean() == pytest.approx(run.measures["held_out_nll"], rel=1e-14)
    assert scores.top1.dtype == bool and scores.nll.shape == scores.first_token_nll.shape
    for name, values in run.effective_weights().items():
        np.testing.assert_array_equal(trainer.effective_weights()[name], values, name)
    for name, value in trainer.indexes().items():
        assert value == run.measures.get(name), name
    assert trainer.ranks()["rank_type"] == run.measures["rank_type"]


def test_own_batches(trainer):
    batch = trainer.sentences[:4]
    assert batch.shape == (4, 3) and batch.dtype == np.int64
    before = trainer.evaluate(batch).nll.mean()
    for _ in range(30):
        loss = trainer.step(batch)
    assert loss < before and trainer.evaluate(batch).nll.mean() < before
    assert trainer.step_count == 30 and trainer.epoch == 0
    # The same numbers in every form.
    fresh = [Trainer(trainer.spec, seed=0) for _ in range(7)]
    forms = [
        batch,
        batch.tolist(),
        batch.astype(np.uint8),
        np.asfortranarray(batch),
        np.repeat(batch, 2, axis=0)[::2],
        batch.astype(np.int32),
        [row.astype(np.uint32) for row in batch],
    ]
    assert len({other.step(form) for other, form in zip(fresh, forms, strict=True)}) == 1


def test_own_sentences(spec):
    data = retrodict.data("reversal", seed=0, vocab_size=24)
    both = np.concatenate([data.train, data.held_out])
    trainer = Trainer(spec, sentences=both)
    np.testing.assert_array_equal(trainer.sentences, both)
    assert trainer.steps_per_epoch == -(-len(both) // spec["train"]["batch_size"])
    trainer.train(300)
    assert trainer.evaluate().nll.mean() < 1.0, "the held-out sentences are trained"
    weighted = Trainer(spec, sentences=both, weights=np.zeros(len(both)))
    weighted.parameters["transformer.wte.weight"]
    gradient = weighted.gradients()
    assert all(not values.any() for values in gradient.values())
    # A recipe copies the weight of a sentence that it rewrites.
    reversed_too = Trainer(spec.set(data__recipes=["reverse-tokens"]), sentences=both, weights=np.zeros(len(both)))
    assert all(not values.any() for values in reversed_too.gradients().values())
    with pytest.raises(ValueError, match="finite"):
        Trainer(spec, sentences=both, weights=np.full(len(both), np.nan))
    with pytest.raises(ValueError, match="those of `sentences`"):
        Trainer(spec, weights=[1.0])
    with pytest.raises(ValueError, match="shape"):
        Trainer(spec, sentences=both, weights=[1.0])


def test_gradients_are_those_of_the_loss(spec):
    trainer = Trainer(spec.set(precision="f64", model__dropout=0), seed=1)
    batch = trainer.sentences[:8]
    gradients = trainer.gradients(batch)
    name = "transformer.wte.weight"
    assert gradients[name].dtype == np.float64
    values = trainer.parameters[name]
    for at in [(batch[0, 0], 3), (0, 0)]:
        change = 1e-5
        ends = []
        for sign in (1, -1):
            moved = values.copy()
            moved[at] += sign * change
            trainer.parameters[name] = moved
            ends.append(trainer.evaluate(batch).nll.mean())
        assert (ends[0] - ends[1]) / (2 * change) == pytest.approx(gradients[name][at], abs=1e-7)


def test_a_loss_of_ones_own(spec):
    spec = spec.set(precision="f64", model__dropout=0)
    one, two = Trainer(spec, seed=1), Trainer(spec, seed=1)
    batch = one.sentences[:8]
    for _ in range(5):
        contexts, loss, slopes = loss_gradient(two, batch)
        own, theirs = two.backward(contexts, slopes), one.gradients(batch)
        assert set(own) == set(theirs)
        for name in own:
            np.testing.assert_allclose(own[name], theirs[name], atol=1e-7)
        assert one.step(batch) == pytest.approx(loss, abs=1e-5)
        two.update(theirs)
    assert one.step_count == two.step_count == 5
    for name in one.parameter_names:
        np.testing.assert_array_equal(one.parameters[name], two.parameters[name])
    two.update({})
    assert two.step_count == 6


def test_parameters_are_a_mapping(trainer):
    parameters = trainer.parameters
    assert len(parameters) == len(list(parameters)) == len(trainer.parameter_names)
    name = "transformer.wte.weight"
    copy = parameters[name]
    copy[:] = 0
    assert parameters[name].any(), "reading copies"
    parameters[name] *= 2
    trainer.parameters = {name: np.zeros_like(copy)}
    assert not parameters[name].any() and name in repr(parameters)
    with pytest.raises(KeyError, match="did you mean"):
        parameters["transformer.wte.weigh"]
    with pytest.raises(TypeError):
        del parameters[name]
    for wrong in (copy.T, copy[0], 0.0):
        with pytest.raises(ValueError, match="shape"):
            parameters[name] = wrong
    for wrong in (copy.astype(complex), np.full(copy.shape, "x"), np.full(copy.shape, None)):
        with pytest.raises(TypeError, match="real"):
            parameters[name] = wrong
    parameters[name] = np.asfortranarray(np.arange(copy.size).reshape(copy.shape))
    assert parameters[name][0, 1] == 1.0


def test_callbacks(trainer):
    seen = []
    losses = trainer.train(10, every=4, callback=lambda trainer: seen.append(trainer.step_count))
    assert seen == [4, 8, 10] and losses.shape == (10,)
    assert len(trainer.train(100, every=3, callback=lambda _: False)) == 2, "to step 12"
    assert trainer.train(0).shape == (0,)
    for wrong in ({"steps": -1}, {"steps": 3, "every": 0, "callback": print}, {"steps": 3, "every": 2}):
        with pytest.raises(ValueError):
            trainer.train(**wrong)

    def fails(trainer):
        raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        trainer.train(10, every=2, callback=fails)
    trainer.learning_rate = 0.0
    before = trainer.parameters["transformer.wte.weight"]
    trainer.train(5)
    np.testing.assert_array_equal(before, trainer.parameters["transformer.wte.weight"])
    for wrong in (-1.0, float("nan"), float("inf")):
        with pytest.raises(ValueError):
            trainer.learning_rate = wrong


HUGE = 2**62


@pytest.mark.parametrize(
    "batch",
    [
        3,
        "abc",
        b"abc",
        [],
        [[]],
        [[], []],
        [1, 2, 3],
        [[1, 2]],
        [[1, 2, 3, 4]],
        [[1, 2, -1]],
        [[1, 2, 10**6]],
        [[1, 2, HUGE]],
        [[1, 2, 10**30]],
        [[1, 2, 1.5]],
        [[1, 2, None]],
        [["a", "b", "c"]],
        np.zeros((2, 3)),
        np.zeros((2, 3), complex),
        np.zeros((2, 3), object),
        np.zeros((2, 3), "datetime64[s]"),
        np.zeros((2, 3, 1), np.int64),
        np.zeros(3, np.int64),
        np.zeros((0, 3), np.int64),
        np.zeros((3, 0), np.int64),
        np.full((2, 3), -1),
        np.full((2, 3), 2**64 - 1, np.uint64),
        np.lib.stride_tricks.as_strided(np.zeros(1, np.int64), (1 << 40, 3), (0, 0)),
        np.lib.stride_tricks.as_strided(np.zeros(1, np.uint8), (3, 1 << 40), (0, 0)),
    ],
    ids=lambda batch: f"{type(batch).__name__}-{getattr(batch, 'dtype', str(batch)[:20])}-{getattr(batch, 'shape', '')}",
)  # fmt: skip
def test_hostile_batches_are_exceptions(trainer, batch):
    for use in (trainer.step, trainer.gradients, trainer.evaluate):
        with pytest.raises((ValueError, TypeError)):
            use(batch)
    with pytest.raises((ValueError, TypeError)):
        Trainer(trainer.spec, sentences=batch)
    trainer.step()


@pytest.mark.parametrize(
    "contexts", [[[1], [1, 2]], [[1] * 10], [], np.zeros((0, 2), int), [[0.5]], "abc", [[10**6]]]
)
def test_hostile_contexts_are_exceptions(trainer, contexts):
    with pytest.raises((ValueError, TypeError)):
        trainer.logits(contexts)
    with pytest.raises((ValueError, TypeError)):
        trainer.backward(contexts, np.zeros((1, trainer.spec.vocab)))
    with pytest.raises((ValueError, TypeError)):
        trainer.backward([[1, 2]], np.zeros((2, trainer.spec.vocab)))


def test_hostile_arguments_are_exceptions(trainer, spec):
    batch = trainer.sentences[:2]
    for wrong in ({"answer": 0}, {"answer": 9}, {"weights": [1.0]}, {"weights": [[1.0, 1.0]]}):
        with pytest.raises(ValueError):
            trainer.step(batch, **wrong)
    for wrong in ({"answer": 1}, {"weights": [1.0]}):
        with pytest.raises(ValueError, match="those of a `batch`"):
            trainer.step(**wrong)
    with pytest.raises((ValueError, OverflowError)):
        trainer.steps(10**15)
    for wrong in ({"threads": 0}, {"threads": 10**6}, {"seed": -1}, {"seed": 2**40}):
        with pytest.raises((ValueError, OverflowError)):
            Trainer(spec, **wrong)
    with pytest.raises(KeyError):
        trainer.update({"nothing": np.zeros(3)})
    with pytest.raises(ValueError, match="shape"):
        trainer.update({"transformer.wte.weight": np.zeros(3)})
    frozen = Trainer(spec.set(model__freeze_embeddings=True))
    with pytest.raises(ValueError, match="frozen"):
        frozen.update({"transformer.wte.weight": frozen.parameters["transformer.wte.weight"]})


@given(st.data())
@settings(deadline=None, max_examples=60)
def test_any_tokens_are_taken_or_refused(data):
    trainer = any_trainer()
    rows = data.draw(st.lists(st.lists(st.integers(-3, 40), min_size=1, max_size=4), min_size=1, max_size=5))
    fits = all(len(row) == 3 and all(0 <= token < trainer.spec.vocab for token in row) for row in rows)
    try:
        nll = trainer.evaluate(rows).nll
    except ValueError:
        assert not fits
    else:
        assert fits and nll.shape == (len(rows),) and (nll >= 0).all()


@given(st.data())
@settings(deadline=None, max_examples=30)
def test_any_numbers_of_a_parameter_are_kept(data):
    trainer = any_trainer()
    shape = trainer.parameter("transformer.ln_f.bias").shape
    floats = st.floats(width=32, allow_nan=False)
    values = np.array(data.draw(st.lists(floats, min_size=shape[0], max_size=shape[0])), np.float32)
    trainer.parameters["transformer.ln_f.bias"] = values
    assert trainer.parameters["transformer.ln_f.bias"].tobytes() == values.tobytes()


def any_trainer(kept=[]):  # noqa: B006  # one for all examples
    if not kept:
        kept.append(Trainer(Spec.ready("reversal-quick").set(data__vocab_size=24, model__dim=16), seed=0))
    return kept[0]


def test_threads_share_a_trainer_and_do_not_change_the_bits(spec):
    one, two = Trainer(spec, seed=2), Trainer(spec, seed=2, threads=2)
    threads = [threading.Thread(target=one.train, args=(20,)) for _ in range(3)]
    [thread.start() for thread in threads]
    [thread.join() for thread in threads]
    two.train(60)
    assert one.step_count == two.step_count == 60
    for name in one.parameter_names:
        assert one.parameters[name].tobytes() == two.parameters[name].tobytes()


class Slow:
    """An array that runs Python for a while when it is read."""

    def __init__(self, values):
        self.values = values

    def __array__(self, dtype=None, copy=None):
        time.sleep(0.05)
        return self.values


def test_arrays_that_run_python_do_not_lock_threads_out(spec):
    trainer = Trainer(spec)
    name = "transformer.wte.weight"
    values = trainer.parameters[name]

    def set_and_update():
        trainer.parameters[name] = Slow(values)
        trainer.update({name: Slow(values)})
        trainer.backward(trainer.sentences[:1, :2], Slow(np.zeros((1, spec.vocab))))

    threads = [threading.Thread(target=set_and_update, daemon=True) for _ in range(2)]
    [thread.start() for thread in threads]
    while any(thread.is_alive() for thread in threads):
        trainer.step()
    assert trainer.step_count > 2


@pytest.mark.skipif(not hasattr(os, "fork"), reason="a system without fork")
def test_after_a_fork(spec):
    single, several = Trainer(spec), Trainer(spec, threads=2)
    child = os.fork()
    if child == 0:
        ended = 1
        try:
            single.step()
            try:
                several.step()
            except RuntimeError as error:
                ended = int("before a fork" not in str(error))
        finally:
            os._exit(ended)
    assert os.waitpid(child, 0)[1] == 0


def test_nothing_leaks(spec, resident):
    trainer = Trainer(spec)
    batch = trainer.sentences[:16]
    for round in range(1500):
        trainer.step(batch), trainer.gradients(), trainer.parameters["transformer.wte.weight"]
        if round % 50 == 0:
            Trainer(spec).step()
        if round == 300:
            before = resident()
    assert resident() - before < 2500, "pages of 4 KiB"


def test_a_step_from_python_costs_little():
    """`bench/peers/python_step.py --calls` measures the cost; this finds one that is several times 3 µs.
    Of a tiny model, whose steps vary little."""
    tiny = {"data__vocab_size": 8, "train__batch_size": "full", "model__layers": 1, "model__dim": 4, "model__heads": 1}
    trainer = Trainer(Spec.ready("reversal-quick").set(**tiny))
    batch = trainer.sentences
    trainer.train(500)
    many, single, given = [], [], []
    for _ in range(40):
        times = [time.perf_counter()]
        trainer.steps(500)
        times.append(time.perf_counter())
        for _ in range(500):
            trainer.step()
        times.append(time.perf_counter())
        for _ in range(500):
            trainer.step(batch)
        times.append(time.perf_counter())
        for kept, begun, ended in zip((many, single, given), times, times[1:]):
            kept.append(1e6 * (ended - begun) / 500)
    # The least of each: machines are shared.
    assert min(single) - min(many) < 10 and min(given) - min(many) < 10, (min(many), min(single), min(given))
