"""Words in a text: where they are, how they are written, which are left alone."""
