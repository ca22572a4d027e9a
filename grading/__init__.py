"""From defect regions to a verdict: measuring, classifying and judging."""
