"""Records what NumPy draws for many settings of the data sets.

Written from the descriptions alone (the paper's, and for the sets that are not
the paper's those of their documentation), with nothing in common with the Rust
code, so that the two check each other. First it must print the golden files;
then it writes `digests.txt`: a setting and the SHA-256 of its printed sentences
a line. Needs Python 3 with NumPy:  python record_digests.py
"""

import hashlib
import itertools
import json
from pathlib import Path

import numpy as np

HERE = Path(__file__).parent


def printed(train, held_out):
    lines = [("train", s) for s in train] + [("val", s) for s in held_out]
    return "".join(
        json.dumps({"split": split, "tokens": [int(t) for t in s]}, separators=(",", ":")) + "\n"
        for split, s in lines
    ).encode()


def all_entities(tokens, length):
    """Every combination, the last position fastest, as rows."""
    grid = np.meshgrid(*[tokens] * length, indexing="ij")
    return np.stack(grid, axis=-1).reshape(-1, length)


def aligned_entities(random, types, vocab_size, length, fraction):
    """Tuples of one entity of each type: those trained whole, and the others."""
    per_type = vocab_size // 4
    chosen = random.choice(vocab_size, (types, per_type), replace=False) + 2
    entities = [all_entities(row, length) for row in chosen]
    for rows in entities:
        random.shuffle(rows)
    n = len(entities[0])
    size = min(n, 2 * per_type)
    picked = [rows[random.choice(n, size, replace=False)] for rows in entities]
    order = np.arange(size)
    random.shuffle(order)
    tuples = [tuple(rows[i].tolist() for rows in picked) for i in order]
    cut = round(fraction * size)
    whole, rest = tuples[:cut], tuples[cut:]
    return (whole[:100], rest[:50]) if length == 3 else (whole, rest)


def reversal(random, vocab_size, entity_length, train_fraction):
    whole, rest = aligned_entities(random, 2, vocab_size, entity_length, train_fraction)
    train, held_out = [], []
    for x, y in whole:
        train += [x + [0] + y, y + [1] + x]
    for x, y in rest:
        forward, backward = x + [0] + y, y + [1] + x
        if random.randint(2) == 0:
            forward, backward = backward, forward
        train.append(forward)
        held_out.append(backward)
    return train, held_out


def split_triples(whole, rest):
    train, held_out = [], []
    for x, y, z in whole:
        train += [x + [0] + y, y + [0] + z, x + [1] + z]
    for x, y, z in rest:
        train += [x + [0] + y, y + [0] + z]
        held_out.append(x + [1] + z)
    return train, held_out


def chain(random, vocab_size, entity_length, train_fraction):
    return split_triples(
        *aligned_entities(random, 3, vocab_size, entity_length, train_fraction)
    )


def icl(random, vocab_size, entities, attributes, train_fraction, hold_out="sentences"):
    chosen = random.choice(vocab_size, entities + attributes, replace=False) + 3
    train, held_out = [], []
    seen = set(chosen[: int(train_fraction * entities)])
    for x in chosen[:entities]:
        sentences = random.permutation([[x, 0, y, 2, y, 1, x] for y in chosen[entities:]])
        cut = int(train_fraction * attributes)
        if hold_out == "entities":
            cut = len(sentences) if x in seen else 0
        train += list(sentences[:cut])
        held_out += list(sentences[cut:])
    return train, held_out


def related(random, vocab_size, tokens, train, held_out):
    chosen = [int(t) for t in random.choice(vocab_size, tokens + 3, replace=False) + 2]
    triples = [tuple([fixed, i] for fixed in chosen[:3]) for i in chosen[3:]]
    return split_triples(triples[:train], triples[train : train + held_out])


def pick(random, vocab_size, rows, columns, reserved):
    """Different tokens in rows, as lists."""
    chosen = random.choice(vocab_size, rows * columns, replace=False) + reserved
    return chosen.reshape(rows, columns).tolist()


def relations(random, vocab_size, entities, relations, train_fraction):
    xs, ys = pick(random, vocab_size, 2, entities, 2 * relations + 2)
    cut = round(train_fraction * entities)
    twice, once, held_out = [], [], []
    for r in range(relations):
        partner = random.permutation(entities)
        for place, i in enumerate(random.permutation(entities)):
            x, y = xs[i], ys[partner[i]]
            pair = [[x, 2 * r, y], [y, 2 * r + 1, x]]
            if place < cut:
                twice += pair
            else:
                seen = 0 if random.randint(2) else 1
                once.append(pair[seen])
                held_out.append(pair[1 - seen])
    n, m = 2 * relations, 2 * relations + 1
    circle, partners = list(xs), list(ys)
    random.shuffle(circle)
    random.shuffle(partners)
    control = [[x, n, y] for x, y in zip(circle, partners)]
    for i in random.permutation(entities)[:cut]:
        control.append([partners[i], m, (circle + circle)[i + 1]])
    return twice + once + control, held_out


def family(random, vocab_size, families, train_fraction):
    rows = pick(random, vocab_size, families, 5, 4)
    lines = [
        (c, p, g, q)
        for g, left, right, of_left, of_right in rows
        for c, p, q in ((of_left, left, right), (of_right, right, left))
    ]
    cut = round(train_fraction * len(lines))
    known = [[[p, 0, g] for _, p, g, _ in lines], [[g, 1, p] for _, p, g, _ in lines],
             [[p, 2, q] for _, p, _, q in lines]]
    random.shuffle(lines)
    grandparents = [[c, 3, g] for c, _, g, _ in lines[:cut]]
    random.shuffle(lines)
    parents = [[c, 0, p] for c, p, _, _ in lines]
    children = [[p, 1, c] for c, p, _, _ in lines]
    train = parents[:cut] + known[0] + children[:cut] + known[1] + known[2]
    return train + grandparents + parents[cut:], children[cut:]


def hops(random, vocab_size, chains, hops, train_fraction):
    rows = pick(random, vocab_size, chains, hops + 1, hops)
    cut = round(train_fraction * chains)
    steps = lambda rows, j: [[row[i], j - 1, row[i + j]] for row in rows for i in range(hops + 1 - j)]
    between = lambda rows: [
        [row[i], j - 1, row[i + j]] for row in rows for j in range(2, hops) for i in range(hops + 1 - j)
    ]
    whole, rest = rows[:cut], rows[cut:]
    train = steps(whole, 1) + between(whole) + steps(whole, hops) + steps(rest, 1) + between(rest)
    return train, steps(rest, hops)


def biographies(random, vocab_size, persons, attributes, train_fraction):
    k = attributes
    rows = pick(random, vocab_size, persons, k + 1, 3 * k)
    told, asked, back = [], [], []
    for name, *values in rows:
        for last in range(k):
            told.append([name])
            for j in [*range(last + 1, k), *range(last + 1)]:
                told[-1] += [j, values[j]]
        asked.append([[name, k + j, v] for j, v in enumerate(values)])
        back.append([[v, 2 * k + j, name] for j, v in enumerate(values)])
    cut = round(train_fraction * persons)
    return told + sum(asked[:cut] + back[:cut], []), sum(back[cut:], [])


def one_to_many(random, vocab_size, entities, partners, train_fraction):
    chosen = (random.choice(vocab_size, entities * (partners + 1), replace=False) + 2).tolist()
    pairs = [(chosen[i // partners], y) for i, y in enumerate(chosen[entities:])]
    random.shuffle(pairs)
    cut = round(train_fraction * len(pairs))
    train = [s for x, y in pairs[:cut] for s in ([x, 0, y], [y, 1, x])]
    return train + [[x, 0, y] for x, y in pairs[cut:]], [[y, 1, x] for x, y in pairs[cut:]]


KINDS = {
    f.__name__.replace("_", "-"): f
    for f in (reversal, chain, icl, related, relations, family, hops, biographies, one_to_many)
}


def data(kind, seed, **settings):
    return printed(*KINDS[kind](np.random.RandomState(seed), **settings))


GOLDEN = {
    "reversal-v800-l1-s1234": ("reversal", dict(vocab_size=800, entity_length=1, train_fraction=0.7)),
    "reversal-v80-l2-s1234": ("reversal", dict(vocab_size=80, entity_length=2, train_fraction=0.7)),
    "chain-v800-l1-s1234": ("chain", dict(vocab_size=800, entity_length=1, train_fraction=0.7)),
    "icl-v400-x100-y10-s1234": ("icl", dict(vocab_size=400, entities=100, attributes=10, train_fraction=0.7)),
    "related-v800-a600-t200-n50-s1234": ("related", dict(vocab_size=800, tokens=600, train=200, held_out=50)),
}


def settings():
    seed = itertools.count()
    for kind in ("reversal", "chain"):
        for length in (1, 2, 3):
            for vocab in (20, 50, 200):
                yield kind, next(seed), dict(vocab_size=vocab, entity_length=length, train_fraction=0.7)
        # The paper's size; odd ones; a vocabulary of one token a type; 15 and 5
        # pairs, where a fraction falls on a half; nothing and all in both directions.
        for vocab, length, fraction, at in [
            (800, 1, 0.7, 0), (800, 1, 0.7, 2**32 - 1), (800, 2, 0.7, 7), (801, 1, 0.5, 8),
            (803, 1, 0.123, 9), (4, 1, 0.7, 10), (7, 3, 0.2, 11), (60, 1, 0.7, 12),
            (20, 1, 0.5, 13), (20, 1, 0.3, 14), (33, 4, 0.9, 15), (37, 2, 0.0, 16),
            (37, 2, 1.0, 17), (13, 3, 0.0, 18), (1000, 1, 1 / 3, 19),
        ]:
            yield kind, at, dict(vocab_size=vocab, entity_length=length, train_fraction=fraction)
    yield "reversal", 5, dict(vocab_size=400, entity_length=3, train_fraction=0.7)
    for at, vocab, entities, attributes, fraction in [
        (0, 400, 100, 10, 0.7), (2**32 - 1, 400, 100, 10, 0.7), (1, 20, 10, 10, 0.7),
        (2, 50, 7, 3, 0.7), (3, 200, 1, 199, 0.29), (4, 801, 33, 9, 1.0), (5, 2, 1, 1, 1.0),
        (6, 300, 250, 50, 0.58),
    ]:
        # No entity is left to train where the fraction of them is below one.
        for hold_out in ("sentences", "entities")[: 1 + int(fraction * entities)]:
            yield "icl", at, dict(vocab_size=vocab, entities=entities, attributes=attributes, train_fraction=fraction, hold_out=hold_out)
    for at, vocab, tokens, train, held_out in [
        (0, 800, 600, 200, 50), (2**32 - 1, 800, 600, 200, 50), (1, 20, 17, 9, 8), (2, 50, 40, 0, 7),
        (3, 200, 100, 30, 0), (4, 803, 800, 400, 200), (5, 4, 1, 1, 0), (6, 800, 600, 550, 50),
    ]:
        yield "related", at, dict(vocab_size=vocab, tokens=tokens, train=train, held_out=held_out)
    # The defaults; then odd sizes, the smallest, nothing and all in both directions.
    for kind, names, sizes in [
        ("relations", ("entities", "relations"), [(50, 3), (2, 1), (7, 5), (15, 2)]),
        ("family", ("families",), [(30,), (1,), (7,), (40,)]),
        ("hops", ("chains", "hops"), [(60, 3), (1, 2), (9, 7), (33, 4)]),
        ("biographies", ("persons", "attributes"), [(50, 3), (1, 1), (11, 5), (25, 2)]),
        ("one-to-many", ("entities", "partners"), [(50, 4), (1, 1), (3, 17), (45, 3)]),
    ]:
        for size in sizes:
            for at, fraction in [(0, 0.7), (2**32 - 1, 0.5), (1, 0.0), (2, 1.0)]:
                yield kind, at, dict(vocab_size=801, **dict(zip(names, size)), train_fraction=fraction)


def main():
    for name, (kind, keys) in GOLDEN.items():
        assert data(kind, 1234, **keys) == (HERE / "golden" / f"{name}.jsonl").read_bytes(), name
    lines = []
    for kind, seed, keys in settings():
        digest = hashlib.sha256(data(kind, seed, **keys)).hexdigest()
        words = [kind, f"seed={seed}", *(f"{k}={v}" for k, v in keys.items()), digest]
        lines.append(" ".join(words) + "\n")
    # All at once: whoever stops this script keeps the old file.
    (HERE / "digests.txt").write_text("".join(lines))


if __name__ == "__main__":
    main()
