"""The network for things: what it is, the segmenter that asks it, and its weights with their model card."""
