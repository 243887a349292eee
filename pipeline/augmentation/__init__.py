"""Word substitution (Jiao et al. 2020, algorithm 1): candidates for words, and variants drawn from them."""
