"""Candidates for a word, from a masked language model and word vectors."""
