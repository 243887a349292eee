"""Word pieces on disk and in batches: token tables, tokenizers, masking, stored outputs."""
