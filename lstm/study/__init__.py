"""The study of the LSTM's settings: which arms there are, how each is trained, what is compared.

The question comes from a report that changed four settings of such a model at once and judged
the music by ear. Here each setting is changed alone, all together, and in half of the
combinations, with equal updates and with equal time. docs/studies/lstm.md has the result.
"""
