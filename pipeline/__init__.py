"""The science and the store of two-stage TinyBERT distillation; runs without Prefect."""

from pipeline.device.waiting import spin_briefly

spin_briefly()  # OpenMP reads this once, when torch is imported
