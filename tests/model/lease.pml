/*
 * The lease of a token that the service replaces with its responses, for spin (https://spinroot.com).
 *
 * WORKERS processes send REQUESTS requests each on one session, whose record lies in a store. Up to FAULTS times a
 * worker dies, a request or an answer is lost, a connection is refused, a session ends or a lease lapses: between
 * any two steps, in any combination. What must hold stands in the assertions of `serve` and `needed`; besides,
 * every run must come to its end. Each rule can be left out with a -D of its own (they are listed, and run, in
 * test_model.py); then something must break.
 *
 * What kind of lease it is:
 *   (nothing)  the store's hold is a lock of the operating system, which is free when its holder has died
 *   -DTTL      it lapses by time, also under a holder that lives (no store that comes with argosy does so yet)
 *   -DWAIT     in doubt, one waits and tries the token once more, as the service keeps the last one good for a while
 *   -DTO_END   the service takes the new token for good only when the body has been sent
 *
 * What carries the token, which is a cookie or a header field alike:
 *   (nothing)  one of them
 *   -DFIELDS   a cookie and a header field at once: an answer replaces both, or keeps both and has a blank field
 *   -DBODY     the body (with TO_END): the service has replaced the token before its sender can know the new one
 *
 * Generations are modelled by `fresh`: the workers whose last look at the record is still the newest. A
 * compare-and-set succeeds for those alone, which is what comparing a generation that only grows comes to.
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
#define SESSIONS 8     /* room for that many logins; spin stops at an index that is too high */

#define FREE 0         /* workers are numbered from 1 */
#define DEAD 255       /* holds a lease that has to lapse: its worker has died */
#define NO_TOKEN 0
/* Token 23 is the third of the second session. */
#define session_of(token) ((token) / 10)
#define bit_of(w) (1 << (w))

mtype = { quiet, request, answer, error, refusal, body, ended, cut };

/* the service */
byte newest[SESSIONS];  /* the one token of a session that was not replaced */
bit over[SESSIONS];
byte sessions;

/* the store */
bit marked;             /* the record: a request is in flight ... */
byte marked_by;         /* ... by this worker */
byte stored;            /* the record's token */
#ifdef FIELDS
byte field;             /* the record's header field, which belongs to the token */
#endif
byte fresh;             /* which workers could write now: nobody has written since they looked */
byte hold = FREE;       /* who has the session to itself */

/* the wires: what each worker's connection carries */
mtype wire[WORKERS + 1] = quiet;
byte carried[WORKERS + 1];
chan orphans = [FAULTS] of { byte };  /* requests whose sender has given up or died */

/* what goes wrong */
byte faults = FAULTS;   /* how much still may, all in all */
byte crash;             /* the worker that dies now */
byte late;              /* workers whose lease is at its deadline */

/* for the assertions alone */
byte working;           /* workers that will settle the mark they have made */
byte logging_in;        /* workers whose login is under way */
byte known;             /* the last token that was stored, also where the record was emptied since */
byte finished;

#define is_fresh(w) (fresh & bit_of(w))
#define is_late(w) (late & bit_of(w))

#ifdef LOOK_WITHOUT_RAISING
inline look(w) { fresh = fresh | bit_of(w) }
#else
inline look(w) { fresh = bit_of(w) }    /* reading raises the generation: an older holder is fenced from then on */
#endif
inline write(w, mark, token) {
    marked = mark;
    marked_by = (mark -> w : 0);
    stored = token;
    known = (token != NO_TOKEN -> token : known);
    fresh = bit_of(w)
}
#ifdef NO_FENCE
#define may_write(w) true
#else
#define may_write(w) is_fresh(w)
#endif
#ifdef NO_DEADLINE
#define must_stop(w) false
#else
#define must_stop(w) is_late(w)
#endif

#ifdef FIELDS
/* What an answer brings in the header field: the new token, or a blank if it keeps the old one. */
inline bring(token) {
#ifdef BLANK_IS_A_TOKEN
    field = (token == stored -> NO_TOKEN : token)
#else
    field = (token == stored -> field : token)
#endif
}
#define forget() token = 0; along = 0
#else
#define bring(token) skip
#define forget() token = 0
#endif

/* One whose deadline is over will not send, so there is nothing of it to settle. */
inline start_working(w) { working = working | (is_late(w) -> 0 : bit_of(w)) }
inline stop_working(w) { working = working & ~bit_of(w) }
inline release(w) {
#ifdef RELEASE_OF_ANYBODY
    hold = FREE;
#else
    if
    :: hold == w -> hold = FREE
    :: else
    fi;
#endif
    late = late & ~bit_of(w);
    fresh = fresh & ~bit_of(w)                        /* the next lease looks again */
}

/* Whether a request that nobody waits for may still reach the service. */
#ifdef WAIT_TOO_SHORT
#define arrivable(w) false
#else
#define arrivable(w) (len(orphans) > 0 || wire[w] == request)
#endif
#ifdef RELEASE_AT_THE_HEADERS
#define KEEP_THE_MARK false
#else
#define KEEP_THE_MARK true
#endif

/* What arrives at the service: the token is the newest of its session, or somebody has sent a replaced one. */
inline serve(token) {
#ifdef WAIT
    /* a service that keeps the one before good for a while, or nobody should wait */
    assert(token == newest[session_of(token)] || token + 1 == newest[session_of(token)]);
#else
    assert(token == newest[session_of(token)]);
#endif
    if
    :: over[session_of(token)] -> reply = refusal
    :: else ->
        back = newest[session_of(token)];
        if
        :: token == newest[session_of(token)] -> back++
        :: true                                       /* it need not replace the token every time */
        fi;
#if !defined(TO_END) || defined(BODY)
        newest[session_of(token)] = back;
#endif
        if
        :: reply = answer
        :: reply = error                              /* 404, 500: they replace the token, too */
        :: faults > 0 ->                              /* the answer deletes the token */
            faults--; over[session_of(token)] = true; reply = answer; back = NO_TOKEN
        fi
    fi
}

/*
 * A login: only where the token is of no use, or a mark was left by somebody who will not settle it; and one at a
 * time. So a doubt, or the end of a session, costs one login at most (or one more for each login that is itself
 * cut off).
 */
inline needed(w) {
    assert((known == NO_TOKEN) || over[session_of(known)] || (known != newest[session_of(known)])
        || (marked && !(working & bit_of(marked_by))));
    assert(!(logging_in & ~bit_of(w)))
}

/* One connection, with the service at its other end. */
proctype Wire(byte w) {
    mtype reply;
    byte back;
end:
    do
    :: atomic { wire[w] == request ->
            serve(carried[w]);
            wire[w] = reply; carried[w] = back; reply = 0; back = 0 }
    :: atomic { (wire[w] == request && faults > 0) ->
            faults--;
            if
            :: skip                                   /* it never arrives */
            :: orphans!carried[w]                     /* its sender gives up, and it arrives after all */
            fi;
            wire[w] = cut; carried[w] = 0 }
#ifdef TO_END
#ifdef BODY
    :: atomic { wire[w] == body -> wire[w] = ended }
#else
    :: atomic { wire[w] == body ->                    /* the token that was given out is good from here on */
            newest[session_of(carried[w])] = carried[w]; wire[w] = ended; carried[w] = 0 }
#endif
    :: atomic { (wire[w] == body && faults > 0) -> faults--; wire[w] = cut; carried[w] = 0 }
    :: atomic { (wire[w] == ended && faults > 0) -> faults--; wire[w] = cut; carried[w] = 0 }
#endif
    :: atomic { ((wire[w] == answer || wire[w] == error || wire[w] == refusal) && faults > 0) ->
            faults--; wire[w] = cut; carried[w] = 0 }
    od
}

/* Everything that happens by itself. */
proctype World() {
    byte token;
    mtype reply;
    byte back;
end:
    do
    :: atomic { (faults > 0 && crash == 0 && finished < WORKERS) ->
            faults--;
            if
            :: crash = 1
            :: crash = 2
#if WORKERS > 2
            :: crash = 3
#endif
            fi }
    :: atomic { (faults > 0 && sessions > 0) -> faults--; over[sessions] = true }
    :: atomic { orphans?token -> serve(token); token = 0; reply = 0; back = 0 }
#ifdef TTL
    :: atomic { (faults > 0 && hold != FREE && hold != DEAD && !is_late(hold)) ->
            faults--; late = late | bit_of(hold) }
    :: atomic { (hold != FREE && hold != DEAD && is_late(hold)) ->
            working = working & ~bit_of(hold); logging_in = logging_in & ~bit_of(hold); hold = FREE }
#ifndef NO_LAPSE
    :: hold == DEAD -> hold = FREE
#endif
#endif
    od
}

proctype Worker(byte w) {
    byte left = REQUESTS;
    byte token;              /* the one that the lease binds */
    byte refused;            /* the one that was refused; NO_TOKEN: none */
#ifdef TOKEN_OF_ITS_OWN
    byte jar;
#endif
#ifdef FIELDS
    byte along;              /* the header field that goes with the token */
#endif
    mtype reply;
    do
    :: atomic { left == 0 -> finished++; break }
    :: left > 0 ->
        {
#include "worker.pml"
        } unless { atomic { crash == w ->
            crash = 0;
            stop_working(w);
            logging_in = logging_in & ~bit_of(w);
            late = late & ~bit_of(w);
            fresh = fresh & ~bit_of(w);
            forget(); refused = 0; reply = 0;
            if
            :: wire[w] == request -> orphans!carried[w]   /* it may be lost there, or arrive */
            :: wire[w] == request
#if defined(TO_END) && !defined(BODY)
            :: wire[w] == body -> newest[session_of(carried[w])] = carried[w]   /* it may have been sent whole */
#endif
            :: wire[w] != request
            fi;
            wire[w] = quiet; carried[w] = 0;
            if
#ifdef TTL
            :: hold == w -> hold = DEAD
#else
            :: hold == w -> hold = FREE
#endif
            :: else
            fi } }
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
