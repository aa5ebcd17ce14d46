"""The cookie store and the rate limit `redis`. Read `store` first; they need the extra ``redis``."""
