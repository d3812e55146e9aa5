"""From findings and measures to a verdict: thresholds, rules, and the Great Expectations suite."""
