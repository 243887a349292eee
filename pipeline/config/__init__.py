"""What a user writes: frozen models, YAML in, overrides, named recipes. Never imports torch."""
