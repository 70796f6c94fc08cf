"""Where everything lies, the constants that every step shares, and the training loop."""

import json
import math
import os
import random
import time
from pathlib import Path

import numpy as np
import torch

WORK = Path(os.environ.get("WORK", "work"))  # all that the recipe makes
SAMPLE_RATE = 24_000  # Hz
FRAME = 1_920  # samples a frame: 80 ms, Mimi's 12.5 Hz
HOP = 192  # samples a step: 8 ms, the grid of envelopes and of when a sound begins
STEPS = FRAME // HOP  # steps a frame
SPEAKERS = 2
CODEBOOKS, CODEBOOK_SIZE = 6, 1_024


def read_rows(pattern: str) -> list[dict]:
    """Rows of every WORK/`pattern` file (JSON lines, one file a worker), each sentence once, in the corpus's order."""
    rows = [json.loads(line) for file in sorted(WORK.glob(pattern)) for line in file.read_text().splitlines()]
    return [row for _, row in sorted({row["id"]: row for row in rows}.items())]


def speakers_of(number: int) -> tuple[int, ...]:
    """Who speaks a sentence: speaker 0 always, speaker 1 every third."""
    return (0, 1) if number % 3 == 0 else (0,)


class Training:
    """A run of so many minutes; iterating gives the share of them that is done, 0..1.

    The learning rate rises over `warm_up` steps and falls to a fiftieth with half a cosine. With a `name`, the run's state is
    kept in WORK/`name`.pt, and a run that was broken off goes on from there, its minutes counted.
    """

    def __init__(self, net, optimiser, minutes: float, warm_up: int, name: str | None = None, save_every: int = 500):
        self.net, self.optimiser, self.warm_up, self.save_every = net, optimiser, warm_up, save_every
        self.rates = [group["lr"] for group in optimiser.param_groups]
        self.path = WORK / f"{name}.pt" if name else None
        self.step, self.before, self.total, self.losses = 0, 0.0, minutes * 60, []
        if self.path and self.path.exists():
            saved = torch.load(self.path)
            net.load_state_dict(saved["net"])
            optimiser.load_state_dict(saved["optimiser"])
            self.step, self.before = saved["step"], saved["seconds"]
        self.start = time.time()

    def seconds(self) -> float:
        """Spent on the run so far."""
        return self.before + time.time() - self.start

    def __iter__(self):
        while (done := self.seconds() / self.total) < 1:
            decay = min(1, (self.step + 1) / self.warm_up) * max(0.02, 0.5 * (1 + math.cos(math.pi * done)))
            for group, rate in zip(self.optimiser.param_groups, self.rates):
                group["lr"] = rate * decay
            yield done
        self.save()

    def learn(self, loss, **shown):
        """One step down `loss`. Every 50 steps the means of `shown` (or of the loss) since then are printed."""
        self.optimiser.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.net.parameters(), 1.0)
        self.optimiser.step()
        self.step += 1
        self.losses.append({name: value.item() for name, value in (shown or dict(loss=loss)).items()})
        if self.step % 50 == 0:
            means = {name: np.mean([losses[name] for losses in self.losses]) for name in self.losses[0]}
            print(self.step, f"{self.seconds():.0f} s", *(f"{name} {mean:.4f}" for name, mean in means.items()), flush=True)
            self.losses = []
        if self.step % self.save_every == 0:
            self.save()

    def save(self):
        """Keeps the run's state, all of it or none."""
        if self.path:
            state = dict(net=self.net.state_dict(), optimiser=self.optimiser.state_dict())
            torch.save(dict(**state, step=self.step, seconds=self.seconds()), f"{self.path}.new")
            os.replace(f"{self.path}.new", self.path)


def begin(seed: int):
    """Before training: known random numbers, and no slow arithmetic on numbers next to zero."""
    random.seed(seed)
    np.random.seed(seed)
    torch.manual_seed(seed)
    torch.set_flush_denormal(True)
