"""Guides: whatever a student can learn from, as functions from a batch to what they show of it."""
