"""What the stages run: models, objectives and guides put together, and trained. Torch is loaded here."""
