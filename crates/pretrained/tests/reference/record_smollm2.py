"""Records what llama.cpp computes with SmolLM2-135M-Instruct, its weights dequantised.

Run as `python record_smollm2.py SmolLM2-135M-Instruct.Q4_1.gguf`; README.md says what it writes.
llama.cpp computes in single precision on one thread of a CPU, and keeps keys and values so: its
kernels for quantised weights round activations too, which ours do not.
"""

import hashlib
import json
import sys
import tempfile
from pathlib import Path

import gguf
import numpy as np
from llama_cpp import GGML_TYPE_F32, Llama

HERE = Path(__file__).parent
NEW_TOKENS = 12
# The tokens whose logits are kept, besides the most likely one.
EVERY = 997
# The texts whose last positions are kept.
TEXTS = [
    "The capital of France is Paris, and the capital of Portugal is Lisbon.",
    "In 1969, 3 people flew 384,400 km;\n\nthey'd \"landed\" — naïvely — by computer…",
    "def area(radius):\n    return 3.14159 * radius ** 2",
]
POSITIONS = 6
PROMPTS = [
    "The capital of France is",
    "Paris is the capital of",
    "The capital of Ethiopia is",
    "Addis Ababa is the capital of",
    "Bogotá is the capital of",
    "The author of Hamlet is",
    "Water boils at",
    "The three primary colours are",
    "Once upon a time there was a",
    "1, 1, 2, 3, 5, 8,",
    "12 + 30 =",
    "import numpy as",
    "def add(a, b):\n    return",
    "The opposite of hot is",
    "My name is",
    "L'eau est",
    "Das Wetter ist heute",
    "To be, or not to be, that is",
    "The chemical symbol of gold is",
    "She opened the door and",
]


def dequantised(path, out):
    """Writes the file with all tensors in single precision."""
    reader = gguf.GGUFReader(path)
    kind = reader.fields["general.architecture"].contents()
    writer = gguf.GGUFWriter(out, kind)
    own = {"GGUF.version", "GGUF.tensor_count", "GGUF.kv_count", "general.architecture"}
    for name, field in reader.fields.items():
        if name not in own and name != "general.file_type":
            of = field.types[-1] if field.types[0] == gguf.GGUFValueType.ARRAY else None
            writer.add_key_value(name, field.contents(), field.types[0], sub_type=of)
    for tensor in reader.tensors:
        numbers = gguf.quants.dequantize(tensor.data, tensor.tensor_type)
        writer.add_tensor(tensor.name, numbers.astype(np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def logits(model, tokens):
    """The logits after each token, [tokens, vocabulary]."""
    model.reset()
    model.eval(tokens)
    return np.array(model.scores[: len(tokens)], dtype=np.float64)


def rows(model, text):
    tokens = model.tokenize(text.encode(), add_bos=False)
    positions = []
    for at, row in list(enumerate(logits(model, tokens)))[-POSITIONS:]:
        highest = row.max()
        whole = highest + np.log(np.exp(row - highest).sum())
        kept = sorted({*range(0, len(row), EVERY), int(row.argmax())})
        positions.append({"position": at, "log_sum": round(whole, 6), "tokens": kept,
                          "logits": [round(row[token], 5) for token in kept]})  # fmt: skip
    return {"text": text, "tokens": tokens, "positions": positions}


def greedy(model, prompt):
    tokens = model.tokenize(prompt.encode(), add_bos=False)
    own, least = len(tokens), np.inf
    for _ in range(NEW_TOKENS):
        row = logits(model, tokens)[-1]
        second, first = np.sort(row)[-2:]
        least = min(least, first - second)
        if int(row.argmax()) == model.token_eos():
            break
        tokens.append(int(row.argmax()))
    text = model.detokenize(tokens[own:], prev_tokens=tokens[:own]).decode(errors="replace")
    return {"prompt": prompt, "text": text, "margin": round(float(least), 5)}


def main(path):
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "f32.gguf"
        dequantised(path, out)
        model = Llama(str(out), n_ctx=256, n_threads=1, n_threads_batch=1, logits_all=True,
                      flash_attn=False, type_k=GGML_TYPE_F32, type_v=GGML_TYPE_F32,
                      verbose=False)  # fmt: skip
        record = {
            "sha256": hashlib.sha256(Path(path).read_bytes()).hexdigest(),
            "logits": [rows(model, text) for text in TEXTS],
            "generated": [greedy(model, prompt) for prompt in PROMPTS],
        }
    text = json.dumps(record, ensure_ascii=False, separators=(",", ":"))
    (HERE / "smollm2.json").write_text(text.replace("},{", "},\n{") + "\n")
    print("least margin", min(line["margin"] for line in record["generated"]))


if __name__ == "__main__":
    main(sys.argv[1])
