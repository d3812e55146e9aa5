"""The model as a plain torch module, its shape, and the slow reference path."""
