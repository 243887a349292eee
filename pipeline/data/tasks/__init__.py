"""Rows of a labelled task, whatever file or hub they come from, with their labels by name."""
