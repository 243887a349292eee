"""A finished student leaves the store as a bundle: ONNX files, tokenizer, labels, and what was measured of them."""
