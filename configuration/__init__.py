"""Parts of the config loader: schema errors in words, cross-field checks, dict to dataclass."""
