"""Faster forms of what a model computes; no result depends on them beyond rounding."""
