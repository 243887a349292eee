"""Models: loading teachers, building students, reading features. The only place that knows model classes."""
