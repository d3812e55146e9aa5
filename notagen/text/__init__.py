"""NotaGen's text: prompts, patches, headers, and the context that the model sees."""
