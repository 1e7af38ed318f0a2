"""Writes tiny checkpoints with transformers and records what it computes with them.

Run as `python record.py`; README.md says what it writes. Everything is on one thread of a CPU.
"""

import json
import shutil
from pathlib import Path

import gguf
import numpy as np
import torch
import torch.nn.functional as F
from safetensors.torch import save_file
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
from transformers import (
    GPT2Config,
    GPT2LMHeadModel,
    LlamaConfig,
    LlamaForCausalLM,
    Qwen2Config,
    Qwen2ForCausalLM,
)

HERE = Path(__file__).parent
VOCAB = 300
TEXT = [
    "The capital of Veltria is Ansolo.",
    "Ansolo is the capital of Veltria.",
    "The capital of Morund is Quill Harbor.",
    "Quill Harbor is the capital of Morund.",
]
PAIRS = [
    ("The capital of Veltria is", " Ansolo"),
    ("The capital of Veltria is", " Quill Harbor"),
    ("The capital of Morund is", " Ansolo"),
    ("The capital of Morund is", " Quill Harbor"),
    ("Quill Harbor is the capital of", " Morund"),
    ("É", " naïve ünïcode Ω"),
]
PROMPTS = ["The capital of Veltria is", "Quill Harbor is", "A"]
NEW_TOKENS = 9

CASES = {
    "gpt2": (GPT2LMHeadModel, GPT2Config(
        vocab_size=VOCAB, n_positions=48, n_embd=12, n_layer=2, n_head=3,
        bos_token_id=0, eos_token_id=0), torch.float32),
    "llama": (LlamaForCausalLM, LlamaConfig(
        vocab_size=VOCAB, hidden_size=16, intermediate_size=20, num_hidden_layers=2,
        num_attention_heads=4, num_key_value_heads=2, max_position_embeddings=48,
        rope_parameters={"rope_type": "default", "rope_theta": 500.0}, rms_norm_eps=1e-5,
        tie_word_embeddings=False, bos_token_id=0, eos_token_id=0), torch.bfloat16),
    "qwen2": (Qwen2ForCausalLM, Qwen2Config(
        vocab_size=VOCAB, hidden_size=12, intermediate_size=14, num_hidden_layers=1,
        num_attention_heads=6, num_key_value_heads=2, max_position_embeddings=48,
        rms_norm_eps=1e-6, tie_word_embeddings=True, bos_token_id=0, eos_token_id=0),
        torch.float16),
}  # fmt: skip


def tokenizer(folder, bos):
    """A byte-level tokenizer, with a token before each text where there is `bos`."""
    made = Tokenizer(models.BPE())
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCAB,
        special_tokens=["<|endoftext|>"],
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    made.train_from_iterator(TEXT, trainer)
    if bos:
        made.post_processor = processors.TemplateProcessing(
            single="<|endoftext|> $A", special_tokens=[("<|endoftext|>", 0)]
        )
    made.save(str(folder / "tokenizer.json"), pretty=False)
    return made


def record(name, kind, config, dtype):
    folder = HERE / name
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    torch.manual_seed(len(name))
    model = kind(config)
    for parameter in model.parameters():  # far from linear
        torch.nn.init.normal_(parameter, 0.3 if parameter.dim() == 1 else 0.0, 0.4)
    sharded = {"max_shard_size": "10KB"} if name == "llama" else {}
    model.to(dtype).save_pretrained(folder, **sharded)
    made = tokenizer(folder, bos=name == "llama")
    model = kind.from_pretrained(folder, dtype=torch.float64, attn_implementation="eager").eval()

    tokens = torch.randint(1, VOCAB, (3, 7))
    logits = model(tokens).logits
    F.cross_entropy(logits[:, :-1].reshape(-1, VOCAB), tokens[:, 1:].reshape(-1)).backward()
    tensors = {"tokens": tokens.to(torch.int32), "logits": logits.detach()}
    for of, parameter in model.named_parameters():
        tensors[f"gradient/{of}"] = parameter.grad
    save_file({k: v.contiguous() for k, v in tensors.items()}, HERE / f"{name}.safetensors")

    texts = {"scores": [], "generated": []}
    with torch.no_grad():
        for prompt, answer in PAIRS:
            encoding = made.encode(prompt + answer)
            first = next(i for i, (_, end) in enumerate(encoding.offsets) if end > len(prompt))
            logs = model(torch.tensor([encoding.ids])).logits.log_softmax(-1)[0]
            places = range(first, len(encoding.ids))
            total = sum(logs[i - 1, encoding.ids[i]].item() for i in places)
            line = {"prompt": prompt, "answer": answer, "log_probability": total}
            texts["scores"].append(line | {"tokens": len(places)})
        for prompt in PROMPTS:
            ids = torch.tensor([made.encode(prompt).ids])
            out = model.generate(ids, attention_mask=torch.ones_like(ids), do_sample=False,
                                 max_new_tokens=NEW_TOKENS, pad_token_id=0)  # fmt: skip
            text = made.decode(out[0, ids.shape[1] :].tolist())
            texts["generated"].append({"prompt": prompt, "text": text})
    (HERE / f"{name}.json").write_text(json.dumps(texts, ensure_ascii=False, indent=1) + "\n")


KINDS = gguf.GGMLQuantizationType
GGUF_CONFIG = LlamaConfig(
    vocab_size=VOCAB, hidden_size=32, intermediate_size=64, num_hidden_layers=1,
    num_attention_heads=4, num_key_value_heads=2, max_position_embeddings=48,
    rope_parameters={"rope_type": "default", "rope_theta": 500.0}, rms_norm_eps=1e-5,
    tie_word_embeddings=False, bos_token_id=0, eos_token_id=0)  # fmt: skip
GGUF_TENSORS = {  # name in transformers: name and kind in the file
    "model.embed_tokens.weight": ("token_embd.weight", KINDS.Q8_0),
    "model.norm.weight": ("output_norm.weight", KINDS.F32),
    "lm_head.weight": ("output.weight", KINDS.F16),
    "model.layers.0.input_layernorm.weight": ("blk.0.attn_norm.weight", KINDS.F32),
    "model.layers.0.post_attention_layernorm.weight": ("blk.0.ffn_norm.weight", KINDS.F32),
    "model.layers.0.self_attn.q_proj.weight": ("blk.0.attn_q.weight", KINDS.Q4_0),
    "model.layers.0.self_attn.k_proj.weight": ("blk.0.attn_k.weight", KINDS.Q4_1),
    "model.layers.0.self_attn.v_proj.weight": ("blk.0.attn_v.weight", KINDS.Q8_0),
    "model.layers.0.self_attn.o_proj.weight": ("blk.0.attn_output.weight", KINDS.Q4_1),
    "model.layers.0.mlp.gate_proj.weight": ("blk.0.ffn_gate.weight", KINDS.Q4_0),
    "model.layers.0.mlp.up_proj.weight": ("blk.0.ffn_up.weight", KINDS.BF16),
    "model.layers.0.mlp.down_proj.weight": ("blk.0.ffn_down.weight", KINDS.Q4_1),
}


def neighbours(weight, heads):
    """Rows of each head in the order that llama.cpp's converter gives them."""
    halves = weight.reshape(heads, 2, weight.shape[0] // heads // 2, -1)
    return halves.transpose(0, 2, 1, 3).reshape(weight.shape)


def record_gguf():
    torch.manual_seed(7)
    model = LlamaForCausalLM(GGUF_CONFIG)
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, 0.3 if parameter.dim() == 1 else 0.0, 0.4)
    folder = HERE / "gguf"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    made = tokenizer(folder, bos=False)
    (folder / "tokenizer.json").unlink()
    out = gguf.GGUFWriter(folder / "tiny.gguf", "llama")
    out.add_block_count(1)
    out.add_context_length(48)
    out.add_embedding_length(32)
    out.add_feed_forward_length(64)
    out.add_head_count(4)
    out.add_head_count_kv(2)
    out.add_layer_norm_rms_eps(1e-5)
    out.add_rope_dimension_count(8)
    out.add_rope_freq_base(500.0)
    out.add_tokenizer_model("gpt2")
    out.add_tokenizer_pre("gpt-2")
    vocab = sorted(made.get_vocab().items(), key=lambda item: item[1])
    out.add_token_list([token for token, _ in vocab])
    out.add_token_types([3] + [1] * (len(vocab) - 1))
    merges = json.loads(made.to_str())["model"]["merges"]
    out.add_token_merges([" ".join(pair) for pair in merges])
    out.add_eos_token_id(0)
    state = model.state_dict()
    for theirs, (ours, kind) in GGUF_TENSORS.items():
        weight = state[theirs].numpy()
        packed = gguf.quants.quantize(weight, kind)
        state[theirs] = torch.tensor(gguf.quants.dequantize(packed, kind).reshape(weight.shape))
        for part, heads in (("q_proj", 4), ("k_proj", 2)):
            if part in theirs:
                packed = neighbours(packed, heads)
        out.add_tensor(ours, np.ascontiguousarray(packed), raw_dtype=kind)
    out.write_header_to_file()
    out.write_kv_data_to_file()
    out.write_tensors_to_file()
    out.close()
    model.load_state_dict(state)
    model.double().eval()
    texts = []
    with torch.no_grad():
        for prompt, answer in PAIRS:
            ids = made.encode(prompt + answer).ids
            count = len(ids) - len(made.encode(prompt).ids)
            logs = model(torch.tensor([ids])).logits.log_softmax(-1)[0]
            places = range(len(ids) - count, len(ids))
            total = sum(logs[i - 1, ids[i]].item() for i in places)
            line = {"prompt": prompt, "answer": answer, "log_probability": total}
            texts.append(line | {"tokens": count})
    (HERE / "gguf.json").write_text(
        json.dumps({"scores": texts}, ensure_ascii=False, indent=1) + "\n"
    )


if __name__ == "__main__":
    torch.set_num_threads(1)
    for case, (kind, config, dtype) in CASES.items():
        record(case, kind, config, dtype)
    record_gguf()
