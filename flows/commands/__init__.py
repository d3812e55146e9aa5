"""The subcommands of ``scoregate``, one module each."""
