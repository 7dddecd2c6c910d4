"""Figures: those of each study, and the paper's own."""
