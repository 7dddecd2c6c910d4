"""Scores of sets of pictures: the Inception score and its stand-ins, and the distance to training pictures."""
