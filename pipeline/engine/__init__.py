"""What the stages run: models, objectives and guides put together, trained and read, on whatever machine there is."""
