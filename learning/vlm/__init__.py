"""A vision-language model that learns from the inspector: its answers, its pictures, and what it is taught with."""
