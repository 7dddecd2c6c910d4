"""Scores of sets of images: the Inception score and its stand-ins, and the distance to training images."""
