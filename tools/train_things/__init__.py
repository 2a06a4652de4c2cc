"""How the network for things was made: a decoder on compact's features, learned from photos with masks."""
