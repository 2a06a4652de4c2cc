"""The recipe of the `compact` weights: a narrow VGG-19 learns to classify, then the features of a full-width one.

recipe.py: both steps as tables. data.py: folders to memory. views.py, classify.py: step 1. crops.py, maps.py,
distil.py, classifier.py: step 2. export.py, measure.py, card.py: what comes out. steps.py: from options to files.
session.py: what surrounds the loops.
"""
