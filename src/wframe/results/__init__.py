"""Reading results: what a run produced, the outcome of each group, and the statistics. One answer to each question."""
