"""Guides: functions from a batch to the tensors that a student is compared with, such as a teacher's features."""
