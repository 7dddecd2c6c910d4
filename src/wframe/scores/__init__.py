"""Scores of sets of images: the Inception score and its substitutes, and the distance to training images."""
