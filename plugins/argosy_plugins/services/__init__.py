"""What services document about their tokens, and which cookies are not tokens, in ``services.json``.

``profiles`` are the values of the setting ``profile``: what they set, why, and the page that documents it. ``cookies`` are
patterns of names (``*`` matches any text) of cookies that identify no account: of load balancers, protections against bots,
and statistics. Not in the list, on purpose: names that an application may give to its own session (``SERVERID``,
``route``), ``AWSELBAuthSessionCookie-0`` and ``NSC_TMAS`` (a balancer's own logins), and ``TS01...`` of F5, which must fit
the other cookies of the same response.
"""
