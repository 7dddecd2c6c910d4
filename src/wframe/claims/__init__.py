"""Claims: what the paper says, how each statement is judged, and the verdict."""
