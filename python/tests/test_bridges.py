"""Bridges to other libraries. Tests that need one are skipped without it."""

import json
import subprocess
import sys

import numpy as np
import pytest

import retrodict
from retrodict import Trainer, bridges

ATOL = 1e-5


def test_importing_needs_no_other_library():
    foreign = {"torch", "transformers", "datasets", "tokenizers", "safetensors", "transformer_lens", "lm_eval"}
    code = f"import retrodict, sys; print({foreign!r} & set(sys.modules))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout == "set()\n"


@pytest.mark.parametrize("tied", [False, True])
def test_state_dicts_and_files(spec, tmp_path, tied):
    spec = spec.set(model__tie_head=tied)
    one, two = Trainer(spec, seed=0), Trainer(spec, seed=1)
    one.train(20)
    state = bridges.state_dict(one)
    assert state["lm_head.weight"].shape == (spec.vocab, 16)
    bridges.load_state_dict(two, state)
    contexts = one.sentences[:, :2]
    np.testing.assert_array_equal(one.logits(contexts), two.logits(contexts))
    bridges.save_pretrained(one, tmp_path / "model")
    config = json.loads((tmp_path / "model/config.json").read_text())
    assert config["architectures"] == ["GPT2LMHeadModel"] and config["tie_word_embeddings"] is tied
    loaded = bridges.load_tensors(tmp_path / "model/model.safetensors")
    three = Trainer(spec, seed=2)
    bridges.load_state_dict(three, {key.removeprefix("transformer."): value for key, value in loaded.items()})
    np.testing.assert_array_equal(one.logits(contexts), three.logits(contexts))
    safetensors = pytest.importorskip("safetensors.numpy")
    theirs = safetensors.load_file(tmp_path / "model/model.safetensors")
    assert set(theirs) == set(loaded)
    for name, values in theirs.items():
        np.testing.assert_array_equal(values, loaded[name])
    wrong = {
        "has no": {},
        "unknown": state | {"nothing": np.zeros(3)},
        "shape": state | {"transformer.ln_f.bias": np.zeros(3)},
    }
    if tied:
        wrong["ties them"] = state | {"lm_head.weight": np.zeros((spec.vocab, 16))}
    for message, wrong_state in wrong.items():
        with pytest.raises(ValueError, match=message):
            bridges.load_state_dict(two, wrong_state)
    np.testing.assert_array_equal(one.logits(contexts), two.logits(contexts))
    for wrong_array in (np.zeros(3, int), np.zeros(3, complex)):
        with pytest.raises(TypeError):
            bridges.save_tensors(tmp_path / "x.safetensors", {"a": wrong_array})
    with pytest.raises(retrodict.StoreError):
        bridges.load_tensors(tmp_path / "missing.safetensors")


def test_a_run_has_a_state_dict(runs, spec):
    trainer = Trainer(spec)
    bridges.load_state_dict(trainer, bridges.state_dict(runs[0]))
    assert trainer.evaluate().nll.mean() == pytest.approx(runs[0].measures["held_out_nll"], rel=1e-14)


def test_sentences_of_the_map_style():
    data = retrodict.data("chain", vocab_size=30)
    sentences = bridges.Sentences(data, held_out=True)
    assert len(sentences) == len(data.held_out)
    item = sentences[0]
    assert item["input_ids"].tolist() == data.held_out[0].tolist()
    assert item["labels"].tolist() == [-100, -100, data.held_out[0][2]]


@pytest.fixture(params=["free", "tied", "no positions"])
def trained(request, spec):
    """A trained model of each kind that GPT-2 can express."""
    changes = {"free": {}, "tied": {"model__tie_head": True}, "no positions": {"model__position": "none"}}
    trainer = Trainer(spec.set(model__layers=2, **changes[request.param]))
    trainer.train(20)
    return trainer


def of_torch(torch, model, contexts):
    """The logits after contexts, of a model of PyTorch."""
    with torch.no_grad():
        logits = model(torch.tensor(contexts))
    return getattr(logits, "logits", logits)[:, -1].numpy()


def test_to_transformers_and_back(trained):
    torch = pytest.importorskip("torch")
    pytest.importorskip("transformers")
    contexts = trained.sentences[:, :2]
    model = bridges.to_transformers(trained)
    np.testing.assert_allclose(trained.logits(contexts), of_torch(torch, model, contexts), atol=ATOL)
    assert set(bridges.state_dict(trained)) | {bridges.POSITIONS} == set(model.state_dict())
    back = Trainer(trained.spec, seed=1)
    bridges.load_state_dict(back, model.state_dict())
    np.testing.assert_array_equal(back.logits(contexts), trained.logits(contexts))


@pytest.mark.parametrize("tied", [False, True])
def test_a_model_of_transformers(spec, tied):
    torch = pytest.importorskip("torch")
    transformers = pytest.importorskip("transformers")
    trainer = Trainer(spec.set(model__tie_head=tied))
    torch.manual_seed(0)
    config = transformers.GPT2Config(**json.loads(trainer.config()) | {"initializer_range": 0.5})
    model = transformers.GPT2LMHeadModel(config).eval()
    contexts = trainer.sentences[:, :2]
    bridges.load_state_dict(trainer, model.state_dict())
    np.testing.assert_allclose(trainer.logits(contexts), of_torch(torch, model, contexts), atol=ATOL)
    bridges.load_state_dict(trainer, model.bfloat16().state_dict())
    rounded = of_torch(torch, model.float(), contexts)
    np.testing.assert_allclose(trainer.logits(contexts), rounded, atol=ATOL)


def test_batches_of_tensors(spec):
    torch = pytest.importorskip("torch")
    one, two = Trainer(spec), Trainer(spec)
    batch = one.sentences[:8]
    for tensor in (torch.tensor(batch), torch.tensor(batch, dtype=torch.int32), list(torch.tensor(batch))):
        assert one.step(batch) == two.step(tensor)
    with pytest.raises(TypeError, match="whole numbers"):
        one.step(torch.zeros(2, 3))


def test_names_and_shapes_of_transformer_lens(trained):
    """Those of its documentation of `HookedTransformer`, and attention as it computes it."""
    state = bridges.transformer_lens_state(trained)
    model = trained.spec["model"]
    vocab, dim, heads = trained.spec.vocab, model["dim"], model["heads"]
    positions = json.loads(trained.config())["n_positions"]
    expected = {
        "embed.W_E": (vocab, dim), "pos_embed.W_pos": (positions, dim),
        "ln_final.w": (dim,), "ln_final.b": (dim,),
        "unembed.W_U": (dim, vocab), "unembed.b_U": (vocab,),
    }  # fmt: skip
    for layer in range(model["layers"]):
        block = {
            "ln1.w": (dim,), "ln1.b": (dim,), "ln2.w": (dim,), "ln2.b": (dim,),
            "attn.W_O": (heads, dim // heads, dim), "attn.b_O": (dim,),
            "mlp.W_in": (dim, 4 * dim), "mlp.b_in": (4 * dim,),
            "mlp.W_out": (4 * dim, dim), "mlp.b_out": (dim,),
        }  # fmt: skip
        for letter in "QKV":
            block |= {f"attn.W_{letter}": (heads, dim, dim // heads), f"attn.b_{letter}": (heads, dim // heads)}
        expected |= {f"blocks.{layer}.{name}": shape for name, shape in block.items()}
    assert {name: values.shape for name, values in state.items()} == expected
    contexts = trained.sentences[:, :2]
    np.testing.assert_allclose(trained.logits(contexts), lens_logits(state, contexts), atol=ATOL)
    back = Trainer(trained.spec, seed=1)
    bridges.load_transformer_lens(back, state | {"blocks.0.attn.mask": np.ones((2, 2), bool)})
    np.testing.assert_array_equal(back.logits(contexts), trained.logits(contexts))
    with pytest.raises(ValueError, match="b_U"):
        bridges.load_transformer_lens(back, state | {"unembed.b_U": np.ones(vocab)})
    del state["blocks.1.attn.W_Q"]
    with pytest.raises(ValueError, match=r"has no `blocks\.1\.attn\.W_Q`"):
        bridges.load_transformer_lens(back, state)


def lens_logits(p, tokens):
    """The logits after contexts by the equations of TransformerLens's documentation."""

    def norm(x, w, b):
        x = x - x.mean(-1, keepdims=True)
        return x / np.sqrt((x**2).mean(-1, keepdims=True) + 1e-5) * w + b

    p = {name: values.astype(float) for name, values in p.items()}
    x = p["embed.W_E"][tokens] + p["pos_embed.W_pos"][: tokens.shape[1]]
    seen = np.tril(np.ones((tokens.shape[1], tokens.shape[1]), bool))
    layer = 0
    while f"blocks.{layer}.ln1.w" in p:
        b = {name.removeprefix(f"blocks.{layer}."): v for name, v in p.items()}
        h = norm(x, b["ln1.w"], b["ln1.b"])
        q, k, v = (
            np.einsum("bpm,hmd->bphd", h, b[f"attn.W_{letter}"]) + b[f"attn.b_{letter}"] for letter in "QKV"
        )
        scores = np.einsum("bqhd,bkhd->bhqk", q, k) / np.sqrt(q.shape[-1])
        weights = np.where(seen, np.exp(scores), 0)
        weights /= weights.sum(-1, keepdims=True)
        z = np.einsum("bhqk,bkhd->bqhd", weights, v)
        x = x + np.einsum("bqhd,hdm->bqm", z, b["attn.W_O"]) + b["attn.b_O"]
        h = norm(x, b["ln2.w"], b["ln2.b"]) @ b["mlp.W_in"] + b["mlp.b_in"]
        h = 0.5 * h * (1 + np.tanh(np.sqrt(2 / np.pi) * (h + 0.044715 * h**3)))
        x = x + h @ b["mlp.W_out"] + b["mlp.b_out"]
        layer += 1
    return (norm(x, p["ln_final.w"], p["ln_final.b"]) @ p["unembed.W_U"] + p["unembed.b_U"])[:, -1]


def test_to_transformer_lens(trained):
    torch = pytest.importorskip("torch")
    lens = pytest.importorskip("transformer_lens")
    if not hasattr(lens, "TransformerBridge"):
        pytest.skip("needs TransformerLens 4")
    contexts = trained.sentences[:, :2]
    model = bridges.to_transformer_lens(trained)
    np.testing.assert_allclose(trained.logits(contexts), of_torch(torch, model, contexts), atol=ATOL)
    _, cache = model.run_with_cache(torch.tensor(contexts))
    assert cache["blocks.1.hook_resid_post"].shape == (*contexts.shape, trained.spec["model"]["dim"])


def test_other_architectures_are_refused(spec):
    trainer = Trainer(spec.set(model__position="rotary"))
    for bridge in (bridges.to_transformers, bridges.transformer_lens_state, bridges.to_transformer_lens):
        with pytest.raises(ValueError, match="GPT-2 cannot express"):
            bridge(trainer)


def test_sentences_in_a_data_loader():
    torch = pytest.importorskip("torch")
    data = retrodict.data("icl", seed=0)
    loader = torch.utils.data.DataLoader(
        bridges.Sentences(data), batch_size=16, collate_fn=bridges.Sentences.collate
    )
    batches = list(loader)
    tokens = torch.cat([batch["input_ids"] for batch in batches]).numpy()
    np.testing.assert_array_equal(tokens, data.train)
    assert all((batch["labels"] != -100).sum() == len(batch["labels"]) * data.entity_length for batch in batches)
    items = [{"input_ids": np.array(row), "labels": np.array(row)} for row in ([1, 2, 3], [4])]
    batch = bridges.Sentences.collate(items)
    assert batch["attention_mask"].tolist() == [[1, 1, 1], [1, 0, 0]]
    assert batch["labels"].tolist() == [[1, 2, 3], [4, -100, -100]]


def test_datasets():
    pytest.importorskip("datasets")
    data = retrodict.data("reversal", vocab_size=24)
    splits = bridges.to_datasets(data)
    np.testing.assert_array_equal(splits["train"]["input_ids"], data.train)
    np.testing.assert_array_equal(splits["held_out"]["input_ids"], data.held_out)
    assert splits["held_out"][0]["labels"] == [-100, -100, data.held_out[0][2]]


def test_the_evaluation_harness(spec):
    """Its accuracy is ours: whether the right answer has the largest logit of the group's."""
    pytest.importorskip("lm_eval")
    from lm_eval import simple_evaluate
    from lm_eval.api.task import ConfigurableTask
    from lm_eval.models.huggingface import HFLM

    trainer = Trainer(spec)
    trainer.train(60)
    model = HFLM(
        pretrained=bridges.to_transformers(trainer), tokenizer=bridges.tokenizer(spec.vocab), device="cpu"
    )
    for group in ("held_out_seen", "held_out_unseen"):
        task = ConfigurableTask(config=bridges.harness_task(trainer.dataset, group))
        found = simple_evaluate(model=model, tasks=[task], bootstrap_iters=0)
        accuracy = found["results"][f"retrodict_{group}"]["acc,none"]
        questions = trainer.dataset.questions(group)
        contexts = np.concatenate([questions["source"], questions["relation"][:, None]], axis=1)
        answers = questions["answer"][:, 0]
        logits = trainer.logits(contexts)[:, np.unique(answers)]
        assert accuracy == (np.unique(answers)[logits.argmax(1)] == answers).mean()
