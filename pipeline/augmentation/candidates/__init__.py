"""Candidates for a word: what a masked language model and word vectors propose."""
