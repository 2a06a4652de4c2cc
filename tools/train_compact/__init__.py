"""The recipe of the `compact` weights: train a narrow VGG-19 from pictures in folders.

recipe.py: the three stages as a table. data.py: folders to tensors. views.py: what a batch looks like. train.py: the
network with batch norm and the loop. export.py: batch norm folded, channels equalised, measured, saved with its card.
"""
