"""One file a stage: the only place where data, models, losses, training and evaluation meet."""
