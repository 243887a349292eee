"""The science and the store of two-stage TinyBERT distillation; runs without Prefect."""
