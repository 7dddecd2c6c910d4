"""The paper's theory, checked by numbers: in one dimension, on a few states and on the bank.

A module per statement or small family. The functions at its top read like the equations; `study` at its bottom
computes how far the statement, as printed and as corrected, is from what comes out.
"""
