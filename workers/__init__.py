"""Work on many tasks: in this process, or in several that may die without taking the rest along."""
