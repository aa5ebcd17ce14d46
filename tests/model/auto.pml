/*
 * The lease that is chosen by watching (`auto`), for spin. It begins exclusive; after an answer that replaced no
 * token it may let requests overlap; the first token that is replaced puts it back to exclusive for good. Here
 * the service begins to replace tokens whenever it likes, and may end a session whose old token it sees.
 *
 * Requests that overlapped at that moment carry a token that one of them has just replaced; nobody can call
 * them back. What must hold is that this is all it costs: no exclusive lease, and no shared one that is granted
 * later, carries a replaced token; and once the lease is exclusive, nobody logs in without need.
 */

#ifndef WORKERS
#define WORKERS 2
#endif
#ifndef REQUESTS
#define REQUESTS 2
#endif
#ifndef FAULTS
#define FAULTS 2
#endif
#define SESSIONS 8

#define FREE 0         /* workers are numbered from 1 */
#define NO_TOKEN 0
/* Token 23 is the third of the second session. */
#define session_of(token) ((token) / 10)
#define bit_of(w) (1 << (w))

mtype = { quiet, request, answer, refusal, cut };

/* the service */
bit replaces;
byte newest[SESSIONS];
bit over[SESSIONS];
byte sessions;

/* the store */
bit marked;
byte marked_by;
byte stored;
bit shared;            /* what was learned: requests may overlap */
bit for_good;          /* ... or must not, ever again */
byte fresh;            /* which workers could write now (see lease.pml) */
byte hold = FREE;

mtype wire[WORKERS + 1] = quiet;
byte carried[WORKERS + 1];
bit alone[WORKERS + 1];  /* the request goes under an exclusive lease */

byte faults = FAULTS;
byte crash;
byte working;
byte finished;

inline write(w, mark, token) {
    marked = mark;
    marked_by = (mark -> w : 0);
    stored = token;
    fresh = bit_of(w)
}

/* An answer is stored, and with it what it teaches. */
inline learn(is_replaced) {
    if
#ifdef NO_SWITCH
    :: (is_replaced) && !shared -> for_good = true
    :: (is_replaced) && shared
#elif defined(SWITCH_IN_TWO_STEPS)
    :: (is_replaced)
#elif defined(NOT_FOR_GOOD)
    :: (is_replaced) -> shared = false
#else
    :: (is_replaced) -> shared = false; for_good = true
#endif
    :: !(is_replaced) && !for_good -> shared = true
    :: !(is_replaced)
    fi
}

/* Where requests overlap, the token that replaced ours may be on its way to somebody else: that costs a login. */
inline needed() {
    assert(shared || stored == NO_TOKEN || over[session_of(stored)] || stored != newest[session_of(stored)]
        || (marked && !(working & bit_of(marked_by))))
}

inline release(w) {
    if
    :: hold == w -> hold = FREE
    :: else
    fi;
    fresh = fresh & ~bit_of(w)
}

proctype Wire(byte w) {
end:
    do
    :: atomic { wire[w] == request ->
            assert(!alone[w] || carried[w] == newest[session_of(carried[w])]);
            if
            :: over[session_of(carried[w])] -> wire[w] = refusal; carried[w] = 0
            :: !over[session_of(carried[w])] && carried[w] != newest[session_of(carried[w])] ->
                if
                :: over[session_of(carried[w])] = true
                :: skip
                fi;
                wire[w] = refusal; carried[w] = 0
            :: !over[session_of(carried[w])] && carried[w] == newest[session_of(carried[w])] ->
                if
                :: replaces -> newest[session_of(carried[w])]++
                :: true
                fi;
                carried[w] = newest[session_of(carried[w])]; wire[w] = answer
            fi }
    :: atomic { ((wire[w] == request || wire[w] == answer) && faults > 0) ->
            faults--; wire[w] = cut; carried[w] = 0 }
    od
}

proctype World() {
end:
    do
    :: atomic { !replaces -> replaces = true }
    :: atomic { (faults > 0 && sessions > 0) -> faults--; over[sessions] = true }
    :: atomic { (faults > 0 && crash == 0 && finished < WORKERS) ->
            faults--;
            if
            :: crash = 1
            :: crash = 2
#if WORKERS > 2
            :: crash = 3
#endif
            fi }
    od
}

proctype Worker(byte w) {
    byte left = REQUESTS;
    byte token;
    byte sent;
    byte refused;
    bit overlaps;
    mtype reply;
    do
    :: atomic { left == 0 -> finished++; break }
    :: left > 0 ->
        {
            /* 1. One look at the record says whether requests may overlap, and which token goes. */
            atomic {
                overlaps = refused == NO_TOKEN && shared && !marked && stored != NO_TOKEN;
                token = (overlaps -> stored : NO_TOKEN) };
            if
            :: overlaps ->
#ifdef TWO_LOOKS
                token = stored;
#endif
                goto send
            :: else
            fi;

            /* 2. Else take the session, look again, log in where one has to, and mark. */
            atomic { hold == FREE -> hold = w };
            atomic {
                fresh = fresh | bit_of(w);
                if
                :: refused != NO_TOKEN && stored == refused -> needed(); goto log_in
#ifdef SWITCH_BY_REFUSAL
                :: refused != NO_TOKEN && stored != refused ->
                    shared = false; for_good = true; fresh = bit_of(w); refused = NO_TOKEN; goto give_back
#else
                :: refused != NO_TOKEN && stored != refused -> refused = NO_TOKEN; goto give_back
#endif
                :: refused == NO_TOKEN && (stored == NO_TOKEN || marked) -> needed(); goto log_in
                :: refused == NO_TOKEN && stored != NO_TOKEN && !marked && shared -> goto give_back
                :: refused == NO_TOKEN && stored != NO_TOKEN && !marked && !shared -> token = stored
                fi };
            atomic {
                if
                :: fresh & bit_of(w) -> write(w, true, stored); working = working | bit_of(w)
                :: else -> goto give_back              /* an overlapping answer was stored meanwhile */
                fi };

send:       atomic {
                assert(!overlaps || token % 10 == 1 || sessions == 0);
                sent = token; wire[w] = request; carried[w] = token; alone[w] = !overlaps };
            atomic {
                if
                :: wire[w] == answer || wire[w] == refusal -> reply = wire[w]; token = carried[w]
                :: wire[w] == cut -> reply = cut; token = 0
                fi;
                wire[w] = quiet; carried[w] = 0; alone[w] = false };

            /* 3. Store the token and what it teaches in one commit. */
            atomic {
                if
                :: reply == answer && overlaps ->
                    if
#ifdef LATE_ANSWERS_WIN
                    :: session_of(stored) == session_of(sent) ->
                        stored = token; fresh = bit_of(w); learn(token != sent)
#else
                    :: stored == sent ->               /* the token that it replaces is still the newest */
                        stored = token; fresh = bit_of(w); learn(token != sent)
#endif
                    :: else                            /* a newer one stands, or a login */
                    fi
                :: reply == answer && !overlaps -> write(w, false, token); learn(token != sent); working = working & ~bit_of(w)
                :: reply == refusal && !overlaps -> write(w, false, stored); working = working & ~bit_of(w)
                :: reply == cut && !overlaps -> working = working & ~bit_of(w)
                :: reply != answer && overlaps
                fi;
                if
                :: reply == answer -> left--
                :: reply == refusal -> refused = sent
                :: reply == cut
                fi };
#ifdef SWITCH_IN_TWO_STEPS
            atomic {
                if
                :: reply == answer && token != sent -> shared = false; for_good = true
                :: else
                fi };
#endif
            goto give_back;

log_in:     atomic {
                sessions++;
                newest[sessions] = sessions * 10 + 1;
                token = newest[sessions] };
            atomic { write(w, false, token); refused = NO_TOKEN };

give_back:  atomic { release(w); token = 0; sent = 0; reply = 0; overlaps = false }
        } unless { atomic { crash == w ->
            crash = 0;
            working = working & ~bit_of(w);
            token = 0; sent = 0; refused = 0; reply = 0; overlaps = false;
            wire[w] = quiet; carried[w] = 0; alone[w] = false;
            release(w) } }
    od
}

init {
    atomic {
        run World();
        run Worker(1); run Wire(1);
        run Worker(2); run Wire(2);
#if WORKERS > 2
        run Worker(3); run Wire(3);
#endif
    }
}
