"""Keep a teacher's features on disk, so that a training computes them once instead of once an epoch."""
