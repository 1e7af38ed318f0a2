"""What is timed: the same shapes, batch and optimiser for every contestant."""

from dataclasses import dataclass

BATCH = 64
VOCAB = 802  # 800 entities and two relation tokens
SENTENCE = 3  # entity, relation, entity
LEARNING_RATE = 1e-3
WEIGHT_DECAY = 0.01


@dataclass(frozen=True)
class Shape:
    layers: int
    dim: int
    heads: int
    seeds: int  # trained at once by whoever can; small models come in tens
    steps: int  # timed steps: a few seconds for the slowest contestant

    @property
    def name(self) -> str:
        return f"{self.layers}x{self.dim}"


SHAPES = [
    Shape(layers=1, dim=20, heads=4, seeds=10, steps=1000),
    Shape(layers=2, dim=64, heads=4, seeds=10, steps=500),
    Shape(layers=24, dim=20, heads=4, seeds=10, steps=100),
    Shape(layers=1, dim=768, heads=12, seeds=1, steps=40),
    Shape(layers=24, dim=768, heads=12, seeds=1, steps=10),
]


def add_shape_arguments(parser):
    """The options that both Python contestants take."""
    parser.add_argument("--layers", type=int, default=2)
    parser.add_argument("--dim", type=int, default=64)
    parser.add_argument("--heads", type=int, default=4)
    parser.add_argument("--steps", type=int, default=500, help="timed steps, after warming up")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--tied", action="store_true", help="tie the head to the token embeddings")
