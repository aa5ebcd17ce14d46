"""The sessions of a run: one or more, the work spread over them, and what becomes of those that are lost."""
