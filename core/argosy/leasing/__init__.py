"""The session and its lease: the rules by which no replaced token is ever sent."""
