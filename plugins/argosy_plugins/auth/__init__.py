"""Auth: how a session is logged in, and what counts as a refusal."""
