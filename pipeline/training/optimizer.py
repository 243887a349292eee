"""The optimizer of every training here."""

import torch
from torch import nn

from pipeline.config.training import TrainingConfig


def adamw(learner: nn.Module, config: TrainingConfig) -> torch.optim.AdamW:
    """Build fused AdamW over the trained parameters, without weight decay for biases and layer norms.

    Args:
        learner: parameters that require no gradient are left out.
        config: learning rate and weight decay.
    """
    trained = [parameter for parameter in learner.parameters() if parameter.requires_grad]
    groups = [
        {"params": [p for p in trained if p.ndim >= 2], "weight_decay": config.weight_decay},
        {"params": [p for p in trained if p.ndim < 2], "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, lr=config.learning_rate, fused=True)
