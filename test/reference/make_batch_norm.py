"""BatchNorm that is trained: steps of a small convolutional network in PyTorch's training mode, and what it then gives in evaluation mode.

    python test/reference/make_batch_norm.py

Writes test/fixtures/train/batch_norm.safetensors, F32, worked out in f64 from numbers that f32 holds. `start/NAME`: weights and running averages, under
the names of the spec in the test. `i/pixels`, `i/target` (one-hot) of step i, of 6, 6, 5 and 1 pictures; `i/loss` before it; `0/gradient/NAME`.
`one/NAME`: after all steps, each batch whole. `parts/NAME`: where batches came in two parts, one after another, of 3 and 3, or 2 and 3.
`eval/logits` of the first batch with `one`.
"""

import torch
import torch.nn.functional as F
from safetensors.torch import save_file
from torch import nn

from data import ROOT

torch.manual_seed(5)
torch.set_default_dtype(torch.float64)
SIZES = [6, 6, 5, 1]


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(2, 4, 3, padding=1), nn.BatchNorm2d(4)
        self.conv2, self.bn2 = nn.Conv2d(4, 6, 3, stride=2), nn.BatchNorm2d(6, eps=1e-3, momentum=0.3)
        self.fc = nn.Linear(6, 3)

    def forward(self, x):
        x = F.relu(self.bn1(self.conv1(x)))
        return self.fc(F.relu(self.bn2(self.conv2(x))).mean((2, 3)))


def ours(name: str) -> str:
    return f"head.{name}" if name.startswith("fc") else f"base.{name}"


start = Net()
for p in start.parameters():
    p.data = (torch.randn_like(p) * 0.4 + (1 if p.dim() == 1 else 0)).float().double()
state = {k: v.clone() for k, v in start.state_dict().items() if v.dim() > 0}
tensors = {f"start/{ours(k)}": v for k, v in state.items()}
batches = []
for i, n in enumerate(SIZES):
    x = (torch.randn(n, 2, 7, 7) * 1.5 + 0.5).float().double()
    y = F.one_hot(torch.arange(n) * (i + 2) % 3, 3).double()
    batches.append((x, y))
    tensors |= {f"{i}/pixels": x, f"{i}/target": y}


def train(name: str, parts: int) -> Net:
    net = Net()
    net.load_state_dict(state, strict=False)
    net.train()
    optimizer = torch.optim.SGD(net.parameters(), lr=0.05, momentum=0.9)
    for i, (x, y) in enumerate(batches):
        optimizer.zero_grad()
        sizes = [len(x) // 2, len(x) - len(x) // 2] if parts == 2 and len(x) > 1 else [len(x)]
        for a, b in zip(x.split(sizes), y.split(sizes)):
            loss = F.cross_entropy(net(a), b)
            (loss * len(a) / len(x)).backward()
            if parts == 1:
                tensors[f"{i}/loss"] = loss.detach()
        if parts == 1 and i == 0:
            tensors.update({f"0/gradient/{ours(k)}": p.grad.clone() for k, p in net.named_parameters()})
        optimizer.step()
    tensors.update({f"{name}/{ours(k)}": v.clone() for k, v in net.state_dict().items() if v.dim() > 0})
    return net


net = train("one", 1)
net.eval()
tensors["eval/logits"] = net(batches[0][0]).detach()
train("parts", 2)
save_file({k: v.float().contiguous() for k, v in tensors.items()}, ROOT / "test/fixtures/train/batch_norm.safetensors")
