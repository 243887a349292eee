"""The terms a loss is composed of: each compares what a student shows with what a guide shows, or with labels."""
