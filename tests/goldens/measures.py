"""Writes measures.json: what SciPy and NumPy say of fixed histograms, distributions and logits (see README.md)."""

import json
from pathlib import Path

import numpy as np
import scipy
from scipy.spatial.distance import jensenshannon
from scipy.special import softmax
from scipy.stats import chi2_contingency, chisquare, entropy, rankdata

LEAST_EXPECTED = 5.0


def histograms(rng: np.random.Generator) -> dict:
    """Two samples of 60 ids, some of them in one sample only, and their distances."""
    a = rng.multinomial(900, rng.dirichlet(np.full(60, 0.3)))
    b = rng.multinomial(700, rng.dirichlet(np.full(60, 0.3)))
    p, q = a / a.sum(), b / b.sum()
    shared = (a > 0) & (b > 0)
    table = pooled(a, b)
    test = chi2_contingency(table, correction=False)
    return dict(
        a=a.tolist(), b=b.tolist(),
        entropy=entropy(p, base=2),
        overlap=np.minimum(p, q).sum(),
        total_variation=np.abs(p - q).sum() / 2,
        jensen_shannon=jensenshannon(p, q, base=2) ** 2,
        kl_shared=entropy(p[shared], q[shared], base=2),
        kl_support=p[shared].sum(),
        statistic=test.statistic, degrees=test.dof, p=test.pvalue,
    )  # fmt: skip


def pooled(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Table of the ids that the smaller sample expects at least five times, and one column of the others."""
    expected = (a + b) * min(a.sum(), b.sum()) / (a.sum() + b.sum())
    good, rare = expected >= LEAST_EXPECTED, (expected < LEAST_EXPECTED) & (a + b > 0)
    assert expected[rare].sum() >= LEAST_EXPECTED
    return np.stack([np.append(x[good], x[rare].sum()) for x in (a, b)])


def fit(rng: np.random.Generator) -> dict:
    """A sample against the distribution it comes from."""
    p = rng.dirichlet(np.full(12, 2.0))
    counts = rng.multinomial(2000, p)
    assert (2000 * p).min() >= LEAST_EXPECTED
    test = chisquare(counts, 2000 * p)
    return dict(counts=counts.tolist(), probabilities=p.tolist(), statistic=test.statistic, p=test.pvalue)


def step(rng: np.random.Generator, temperature: float, top_k: int) -> dict:
    """Logits, one token, and the measures of that draw."""
    logits = (rng.normal(size=200) * 3).astype(np.float32)
    token = int(np.argsort(-logits)[rng.integers(top_k)])
    kept = logits >= np.sort(logits)[-top_k]
    sampled = softmax(np.where(kept, logits.astype(float) / temperature, -np.inf))
    raw = softmax(logits.astype(float))
    measure = lambda p: dict(
        entropy=entropy(p, base=2), perplexity=2 ** entropy(p, base=2), probability=p[token],
        surprisal=-np.log2(p[token]), rank=int(rankdata(-p, method="min")[token]),
    )  # fmt: skip
    return dict(
        logits=[float(x) for x in logits], token=token, temperature=temperature, top_k=top_k,
        raw=measure(raw), sampled=measure(sampled), kept_mass=raw[kept].sum(), survivors=int(kept.sum()),
    )  # fmt: skip


def gap(rng: np.random.Generator) -> dict:
    """Two computations of the same logits."""
    a = (rng.normal(size=100) * 4).astype(np.float32)
    b = a + rng.normal(size=100).astype(np.float32) * np.float32(0.1)
    kl = entropy(softmax(a.astype(float)), softmax(b.astype(float)), base=2)
    return dict(a=[float(x) for x in a], b=[float(x) for x in b], difference=float(np.abs(a - b).max()), kl=kl)


def main() -> None:
    rng = np.random.default_rng(20261124)
    out = dict(
        versions=dict(scipy=scipy.__version__, numpy=np.__version__),
        histograms=[histograms(rng) for _ in range(5)],
        fits=[fit(rng) for _ in range(3)],
        steps=[step(rng, t, k) for t, k in [(0.9, 50), (0.1, 5), (2.0, 200), (1.0, 1)]],
        gaps=[gap(rng) for _ in range(3)],
    )
    text = json.dumps(out, default=float)
    (Path(__file__).parent / "measures.json").write_text(text + "\n")


if __name__ == "__main__":
    main()
