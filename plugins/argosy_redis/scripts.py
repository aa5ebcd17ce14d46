"""Lua scripts, which the server runs atomically.

Every script can be sent again after a lost response: a write is recognized by its nonce, a hold by its token.

A session is a hash: ``version``, ``generation``, ``record`` (JSON), ``checksum`` (SHA-1 of name and record), ``nonce`` (of
its write), ``recent`` (nonces of earlier writes), ``mark`` (the holder of a request in flight, and the count of logins),
``run`` (the server's run ID), ``sure`` (whether it was on the server's disk before the response) and ``owner``: the token of
the last holder. A hold is a key that expires; it contains that token, or ``baton:ID`` while the session is handed on. ID is
then in a list on which waiters block: the server gives it to the one that has waited longest.
"""

from __future__ import annotations

from typing import Final

#: The version of what is kept for a session.
VERSION: Final = 1

#: Nonces of earlier writes to keep, and the length of each: a lost response is noticed within seconds.
KEPT_NONCES: Final = 16
NONCE: Final = 16

#: Seconds to keep the owner of a session without a record.
_LEFT = 86_400

#: The run ID of the server; a restart or a fail-over changes it.
_RUN = "local run = string.match(redis.call('INFO', 'server'), 'run_id:(%x+)') or '?'"

#: KEYS: session, store, sessions. ARGV: name. Returns the ID of the store, whether the session is listed without a record,
#: whether it was written in this run of the server, and its fields.
READ: Final = f"""
{_RUN}
local found = redis.call('HMGET', KEYS[1], 'version', 'generation', 'record', 'checksum', 'nonce', 'sure', 'run')
local born = redis.call('GET', KEYS[2])
local gone = not found[3] and redis.call('SISMEMBER', KEYS[3], ARGV[1]) or 0
return {{born, gone, found[7] == run and 1 or 0, found[1], found[2], found[3], found[4], found[5], found[6]}}
"""

#: KEYS: session, hold, sessions, store. ARGV: name, generation expected, nonce of that ('': not known), generation, record,
#: checksum, nonce, mark, token of the hold ('': none), its milliseconds, whether each write is synced, a new store's birth.
WRITE: Final = f"""
local old = redis.call('HMGET', KEYS[1], 'version', 'generation', 'record', 'checksum', 'nonce', 'recent', 'mark', 'owner')
local recent, owner, token = old[6] or '', old[8], ARGV[9]
if string.find(recent, ARGV[7], 1, true) then return {{'written', redis.call('GET', KEYS[4])}} end
if old[3] then
  if old[1] ~= '{VERSION}' then return {{'version', old[1]}} end
  if redis.sha1hex(ARGV[1] .. '\\n' .. old[3]) ~= old[4] then return {{'damaged'}} end
elseif old[2] then return {{'damaged'}} end
if (tonumber(old[2]) or 0) ~= tonumber(ARGV[2]) then return {{'moved'}} end
if ARGV[3] ~= '' and ARGV[3] ~= old[5] then return {{'moved'}} end
local mine = not owner or owner == token
if token ~= '' and not mine and old[7] ~= ARGV[8] then return {{'lapsed'}} end
{_RUN}
local sure = ARGV[11]
if sure == '1' and not string.find(redis.call('INFO', 'replication'), 'connected_slaves:0', 1, true) then sure = '0' end
redis.call('HSET', KEYS[1], 'version', '{VERSION}', 'generation', ARGV[4], 'record', ARGV[5], 'checksum', ARGV[6],
  'nonce', ARGV[7], 'recent', string.sub(ARGV[7] .. recent, 1, {KEPT_NONCES * NONCE}), 'mark', ARGV[8],
  'run', run, 'sure', sure)
redis.call('PERSIST', KEYS[1])
redis.call('SADD', KEYS[3], ARGV[1])
redis.call('SET', KEYS[4], ARGV[12], 'NX')
if token ~= '' and mine then
  local held = redis.call('GET', KEYS[2])
  if not held or held == token then
    redis.call('SET', KEYS[2], token, 'PX', ARGV[10])
    redis.call('HSET', KEYS[1], 'owner', token)
  end
end
return {{'written', redis.call('GET', KEYS[4])}}
"""

#: KEYS: session, sessions. ARGV: name. The hold and the owner stay.
REMOVE: Final = f"""
redis.call('HDEL', KEYS[1], 'version', 'generation', 'record', 'checksum', 'nonce', 'recent', 'mark', 'run', 'sure')
redis.call('EXPIRE', KEYS[1], {_LEFT})
redis.call('SREM', KEYS[2], ARGV[1])
"""

#: KEYS: session, hold, list. ARGV: token, milliseconds, baton ('': none). Returns -1 if it is granted, or how many
#: milliseconds the other hold has left.
ACQUIRE: Final = f"""
local held = redis.call('GET', KEYS[2])
local free = not held or held == ARGV[1] or (ARGV[3] ~= '' and held == 'baton:' .. ARGV[3])
if not free and string.sub(held, 1, 6) == 'baton:' then
  free = redis.call('LLEN', KEYS[3]) > 0  -- no waiter has received it
end
if not free then return math.max(redis.call('PTTL', KEYS[2]), 0) end
redis.call('SET', KEYS[2], ARGV[1], 'PX', ARGV[2])
redis.call('DEL', KEYS[3])
if redis.call('HSET', KEYS[1], 'owner', ARGV[1]) == 1 and redis.call('HEXISTS', KEYS[1], 'generation') == 0 then
  redis.call('EXPIRE', KEYS[1], {_LEFT})
end
return -1
"""

#: KEYS: session, hold. ARGV: token, milliseconds. Returns whether it is still ours, or ours again because no other process had it.
RENEW: Final = """
local held = redis.call('GET', KEYS[2])
if held ~= ARGV[1] and (held or redis.call('HGET', KEYS[1], 'owner') ~= ARGV[1]) then return 0 end
redis.call('SET', KEYS[2], ARGV[1], 'PX', ARGV[2])
return 1
"""

#: KEYS: session, hold, list. ARGV: token, baton, milliseconds to take it. Does nothing if another process has taken the
#: session since.
RELEASE: Final = """
local held, owner = redis.call('GET', KEYS[2]), redis.call('HGET', KEYS[1], 'owner')
if held ~= ARGV[1] and (held or owner ~= ARGV[1]) then return 0 end
redis.call('SET', KEYS[2], 'baton:' .. ARGV[2], 'PX', ARGV[3])
redis.call('DEL', KEYS[3])
redis.call('RPUSH', KEYS[3], ARGV[2])
redis.call('PEXPIRE', KEYS[3], ARGV[3])
if owner then redis.call('HSET', KEYS[1], 'owner', 'none since ' .. ARGV[1]) end
return 1
"""

#: KEYS: state of a host. Returns the server's time, in seconds and microseconds, and the state.
FETCH: Final = """
local now = redis.call('TIME')
return {now[1], now[2], redis.call('GET', KEYS[1])}
"""

#: KEYS: state of a host. ARGV: old state ('': none), new state, seconds to keep it. Returns whether it was replaced; it is
#: replaced as well if it is the new one already, as the response may have been lost.
SWAP: Final = """
local old = redis.call('GET', KEYS[1]) or ''
if old ~= ARGV[1] and old ~= ARGV[2] then return 0 end
redis.call('SET', KEYS[1], ARGV[2], 'EX', ARGV[3])
return 1
"""
