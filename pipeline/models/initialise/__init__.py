"""A student cut out of its teacher by closed forms: least squares on real tokens, no gradients."""
