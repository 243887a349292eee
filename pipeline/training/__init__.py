"""Training: one visible loop on Accelerate, for fine-tuning and every kind of distillation."""
