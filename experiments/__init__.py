"""Experiments: grids of settings, their statistics, tables and figures."""
