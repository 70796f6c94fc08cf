"""Numbers from a name and a seed: the weights and waveforms of the goldens, so that none of them has to be stored.

Element i of tensor `name`: SplitMix64's output number i + 1 from the state FNV-1a(name) ^ seed * GOLDEN; its upper 24 bits as
u in [-1, 1); value = offset + scale * u in float32. tests/support/formula.rs does the same in Rust.
"""

import numpy as np

GOLDEN = 0x9E3779B97F4A7C15
MASK = (1 << 64) - 1
FRAME = 1920  # samples of a codec frame


def fnv1a(name: str) -> int:
    """FNV-1a, 64 bits, of the UTF-8 bytes."""
    h = 0xCBF29CE484222325
    for byte in name.encode():
        h = (h ^ byte) * 0x100000001B3 & MASK
    return h


def uniform(name: str, seed: int, count: int) -> np.ndarray:
    """`count` float32 in [-1, 1), exact."""
    with np.errstate(over="ignore"):
        state = np.uint64(fnv1a(name) ^ (seed * GOLDEN & MASK))
        z = state + np.arange(1, count + 1, dtype=np.uint64) * np.uint64(GOLDEN)
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        z ^= z >> np.uint64(31)
    return (z >> np.uint64(40)).astype(np.float32) * np.float32(2.0**-23) - np.float32(1)


def values(name: str, seed: int, shape: tuple[int, ...], offset: float, scale: float) -> np.ndarray:
    """`offset + scale * u`, product and sum each rounded to float32."""
    u = uniform(name, seed, int(np.prod(shape)))
    return (np.float32(offset) + np.float32(scale) * u).reshape(shape)


def wave(name: str, seed: int, samples: int) -> np.ndarray:
    """Noise whose loudness changes from frame to frame: sample i is loudness(i // FRAME) * u(i)."""
    loudness = values(f"{name}.loudness", seed, (-(-samples // FRAME),), 0.3125, 0.25)
    return loudness.repeat(FRAME)[:samples] * uniform(name, seed, samples)
