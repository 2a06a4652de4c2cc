"""The embedded weights: data only, read by `interp.weights`. See MODEL_CARD.md."""
