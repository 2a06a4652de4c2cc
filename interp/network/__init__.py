"""The network: layers by name, weights, features, classification."""
