"""PyTorch in memory: tensors, rows by a permutation, fused Adam. Option: compile=1."""

from __future__ import annotations

import itertools
import os
import shutil
import sys

import torch
from job import load_splits, open_job, train_in_parts

job, report = open_job()
if job.option("compile") and not any(map(shutil.which, [os.environ.get("CXX", "g++"), "clang++", "cl"])):
    report.unavailable("torch.compile needs a C++ compiler, and none was found")
    sys.exit()
report.begin("torch")
torch.manual_seed(job.seed)
# Adam's moments at pixels that are nearly always blank decay to denormal numbers, which slow each step.
torch.set_flush_denormal(True)

train_images, train_labels, validation_images, validation_labels = load_splits(job.data)
train_x = torch.from_numpy(train_images).reshape(-1, 784).float() / 255
train_y = torch.from_numpy(train_labels).long()
validation_x = torch.from_numpy(validation_images).reshape(-1, 784).float() / 255
validation_y = torch.from_numpy(validation_labels).long()

widths = [784, *job.hidden, 10]
layers: list[torch.nn.Module] = []
for inputs, outputs in itertools.pairwise(widths):
    dense = torch.nn.Linear(inputs, outputs)
    torch.nn.init.xavier_uniform_(dense.weight)  # Keras' initial values, so that the accuracies can be compared
    torch.nn.init.zeros_(dense.bias)
    layers += [dense, torch.nn.ReLU()]
model = torch.nn.Sequential(*layers[:-1])
optimizer = torch.optim.Adam(model.parameters(), lr=0.001, eps=1e-7, fused=True)


def loss_and_hits(images: torch.Tensor, labels: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    logits = model(images)
    return torch.nn.functional.cross_entropy(logits, labels), (logits.argmax(1) == labels).sum()


if job.option("compile"):
    loss_and_hits = torch.compile(loss_and_hits)

order = torch.arange(len(train_y))


def train_part(first_image: int) -> None:
    global order  # noqa: PLW0603 - an epoch's order outlives the part that drew it
    if first_image == 0:
        order = torch.randperm(len(train_y))
    loss_sum, hits_sum = torch.zeros(()), torch.zeros((), dtype=torch.long)
    for rows in order[first_image : first_image + job.images_per_part].split(job.batch_size):
        loss, hits = loss_and_hits(train_x[rows], train_y[rows])
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        loss_sum += loss.detach()
        hits_sum += hits


@torch.no_grad()
def validate() -> float:
    return (model(validation_x).argmax(1) == validation_y).float().mean().item()


train_in_parts(job, report, train_part, validate)
