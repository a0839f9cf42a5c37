"""What a search for pruning rates computes, as PyTorch computes it.

    python test/reference/search.py

Writes test/fixtures/search.safetensors:

`metrics/...`: `before`, `after` f32 [80, 96] and `small` [40, 24], maps; `NAME.normalised` by InstanceNorm2d, `NAME.resized` [64, 64] by adaptive_avg_pool2d;
`cosine`, `pearson` of the first two, [1]; `x` [12, 40], `y` [12, 25] and `cka`, linear CKA by its formula over features.
`q/...`: a Q-network of narrow layers (channels 4, 6, 8, 8, hidden 16, 12, side 16): `start/PARAM`, views `features` [6, 2, 16, 16] and `rate` [6, 1], what it gives,
`values` [6, 2], decisions `action` i32 [6] and what they were worth, `worth` [6]; `gradient/PARAM` of the error at the start; and after 8 steps of Adam over all six, `loss` [8] before
each step and `final/PARAM`.
`ac/...`: an actor and a critic of 8 numbers (hidden 12, 10): `start/actor.PARAM`, `start/critic.PARAM`; `state` [5, 8], `action` [5, 1], `worth` [5, 1]; what they
give, `acted` [5, 1], `valued` [5, 1] (of `action`); `gradient/critic.PARAM` of the critic's square error; `gradient/actor.PARAM` of less the mean value of what the
actor does; and after 4 steps each, as the agent takes them (first the critic, then the actor through it): `final/...`.
All in f64, rounded at the end. Names are Espalier's.
"""

import copy

import torch
import torch.nn.functional as F
from safetensors.torch import save_file
from torch import nn

from data import ROOT

torch.manual_seed(3)
D = torch.float64
out: dict[str, torch.Tensor] = {}


def keep(prefix: str, tensors: dict) -> None:
    for name, t in tensors.items():
        out[f"{prefix}/{name}"] = t.detach().to(torch.int32 if t.dtype == torch.int64 else torch.float32).contiguous().clone()


# ---- Metrics
before = F.interpolate(torch.randn(1, 1, 10, 12, dtype=D), (80, 96), mode="bicubic") * 3 + 1
after = 0.8 * before + 0.9 * F.interpolate(torch.randn(1, 1, 20, 24, dtype=D), (80, 96), mode="bicubic")
small = torch.randn(1, 1, 40, 24, dtype=D)
before, after, small = (t.float().double() for t in (before, after, small))
norm = nn.InstanceNorm2d(1)
a, b = norm(before), norm(after)
x, y = torch.randn(12, 40, dtype=D).float().double(), None
y = (x[:, :25] + 0.7 * torch.randn(12, 25, dtype=D)).float().double()
xc, yc = x - x.mean(0), y - y.mean(0)
cka = (yc.T @ xc).norm() ** 2 / ((xc.T @ xc).norm() * (yc.T @ yc).norm())
keep(
    "metrics",
    {
        "before": before[0, 0],
        "after": after[0, 0],
        "small": small[0, 0],
        "before.normalised": a[0, 0],
        "after.normalised": b[0, 0],
        "before.resized": F.adaptive_avg_pool2d(before, 64)[0, 0],
        "small.resized": F.adaptive_avg_pool2d(small, 64)[0, 0],
        "cosine": F.cosine_similarity(a.flatten(), b.flatten(), dim=0).reshape(1),
        "pearson": torch.corrcoef(torch.stack([before.flatten(), after.flatten()]))[0, 1].reshape(1),
        "x": x,
        "y": y,
        "cka": cka.reshape(1),
    },
)


# ---- The Q-network
class Q(nn.Module):
    def __init__(self, channels, hidden):
        super().__init__()
        sizes = [2, *channels]
        for i in range(4):
            setattr(self, f"conv{i + 1}", nn.Conv2d(sizes[i], sizes[i + 1], 3, padding=1))
        self.fc1 = nn.Linear(channels[3] + 1, hidden[0])
        self.fc2 = nn.Linear(hidden[0], hidden[1])
        self.fc3 = nn.Linear(hidden[1], 2)

    def forward(self, x, rate):
        for i in range(4):
            x = F.max_pool2d(F.relu(getattr(self, f"conv{i + 1}")(x)), 2)
        y = torch.cat([F.adaptive_avg_pool2d(x, 1).flatten(1), rate], 1)
        return self.fc3(F.relu(self.fc2(F.relu(self.fc1(y)))))


def rounded(module: nn.Module) -> nn.Module:
    """Weights that f32 holds exactly, computed with in f64."""
    with torch.no_grad():
        for p in module.parameters():
            p.copy_(p.float())
    return module.double()


def named(module: nn.Module, prefix: str, of=lambda p: p) -> dict:
    return {f"{prefix}{n}": of(p) for n, p in module.named_parameters()}


q = rounded(Q([4, 6, 8, 8], [16, 12]))
features = torch.randn(6, 2, 16, 16).double()
rate = torch.rand(6, 1).double()
action = torch.tensor([0, 1, 1, 0, 1, 0])
worth = torch.randn(6).double()
keep("q", {**named(q, "start/network."), "features": features, "rate": rate, "values": q(features, rate), "action": action, "worth": worth})
optimizer = torch.optim.Adam(q.parameters(), lr=1e-3)
losses = []
for step in range(8):
    taken = q(features, rate).gather(1, action[:, None])[:, 0]
    loss = F.mse_loss(taken, worth)
    losses.append(loss.detach())
    optimizer.zero_grad()
    loss.backward()
    if step == 0:
        keep("q", named(q, "gradient/network.", lambda p: p.grad))
    optimizer.step()
keep("q", {"loss": torch.stack(losses), **named(q, "final/network.")})


# ---- Actor and critic
class Actor(nn.Module):
    def __init__(self, numbers, hidden):
        super().__init__()
        self.fc1, self.fc2, self.fc3 = nn.Linear(numbers, hidden[0]), nn.Linear(*hidden), nn.Linear(hidden[1], 1)

    def forward(self, s):
        return torch.sigmoid(self.fc3(F.relu(self.fc2(F.relu(self.fc1(s))))))


class Critic(nn.Module):
    def __init__(self, numbers, hidden):
        super().__init__()
        self.state1, self.action1 = nn.Linear(numbers, hidden[0]), nn.Linear(1, hidden[0])
        self.fc2, self.fc3 = nn.Linear(*hidden), nn.Linear(hidden[1], 1)

    def forward(self, s, a):
        return self.fc3(F.relu(self.fc2(F.relu(self.state1(s) + self.action1(a)))))


actor, critic = rounded(Actor(8, [12, 10])), rounded(Critic(8, [12, 10]))
state, action, worth = torch.rand(5, 8).double(), torch.rand(5, 1).double(), torch.randn(5, 1).double()
keep("ac", {**named(actor, "start/actor."), **named(critic, "start/critic."), "state": state, "action": action, "worth": worth})
keep("ac", {"acted": actor(state), "valued": critic(state, action)})
first = copy.deepcopy(critic)
keep("ac", named(actor, "gradient/actor.", lambda p: torch.autograd.grad(-first(state, actor(state)).mean(), p)[0]))
keep("ac", named(critic, "gradient/critic.", lambda p: torch.autograd.grad(F.mse_loss(critic(state, action), worth), p)[0]))
a_opt, c_opt = torch.optim.Adam(actor.parameters(), lr=1e-3), torch.optim.Adam(critic.parameters(), lr=2e-3)
for _ in range(4):
    c_opt.zero_grad()
    F.mse_loss(critic(state, action), worth).backward()
    c_opt.step()
for _ in range(4):
    a_opt.zero_grad()
    (-critic(state, actor(state)).mean()).backward()
    a_opt.step()
keep("ac", {**named(actor, "final/actor."), **named(critic, "final/critic.")})

save_file(out, ROOT / "test/fixtures/search.safetensors")
print(len(out), "tensors")
