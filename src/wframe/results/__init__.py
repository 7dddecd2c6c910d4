"""Reading results: what a run left, what became of each group, and with which uncertainty. One answer to one question."""
