"""Training: scores in, weights, card and curves out. Knows no Prefect and no gate."""
