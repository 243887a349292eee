"""Data: corpora and task tables in, tokens and batches out."""
