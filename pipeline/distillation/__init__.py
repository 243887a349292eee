"""Distillation: layer maps and losses as pure tensor functions. Knows torch and nothing else."""
