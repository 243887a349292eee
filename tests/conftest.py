"""Small models on a shared machine: one thread is fastest, and the same everywhere."""

import torch

torch.set_num_threads(1)
