"""The embedded weights: data only, read by `interp.network.weights`. See MODEL_CARD.md."""
