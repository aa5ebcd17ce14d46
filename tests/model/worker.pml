/*
 * One request of a worker, step by step; included by lease.pml. Each atomic block is one step: a worker may die
 * before or after it, and the others may come in between.
 */

#ifdef TOKEN_BEFORE_THE_QUEUE
            token = stored;
#endif
#ifdef FIELD_BEFORE_THE_QUEUE
            along = field;
#endif
            /* 1. Take the session, one worker at a time, and read the newest record. */
#ifdef NO_HOLD
            atomic {
#elif defined(TTL) && !defined(LOOK_AFTER_TAKING)
            atomic { hold == FREE -> hold = w;        /* the store does both in one step */
#else
            atomic { hold == FREE -> hold = w };      /* the lock does not lapse, so there may be steps between */
            atomic {
#endif
                look(w);
                if
                :: refused != NO_TOKEN ->
                    if
#if defined(NO_SECOND_LOOK)
                    :: true -> goto log_in
#elif defined(LOSER_CLEARS)
                    :: true -> write(w, false, NO_TOKEN); refused = NO_TOKEN; goto give_back
#else
                    :: session_of(stored) == session_of(refused) -> goto log_in
                    :: else -> refused = NO_TOKEN; goto give_back
#endif
                    fi
                :: else ->
                    if
                    :: stored == NO_TOKEN -> goto log_in
#ifdef IGNORE_THE_MARK
#elif defined(NO_RECOVERY)
                    :: stored != NO_TOKEN && marked -> goto give_back
#elif defined(WAIT)
                    :: stored != NO_TOKEN && marked && !arrivable(marked_by) ->
                        write(w, false, stored)                          /* the one try */
                    :: stored != NO_TOKEN && marked && arrivable(marked_by) -> goto wait
#else
                    :: stored != NO_TOKEN && marked -> goto log_in        /* in doubt */
#endif
                    :: else
                    fi
                fi;
#ifdef TOKEN_OF_ITS_OWN
                if
                :: session_of(jar) == session_of(stored) -> token = jar
                :: else -> token = stored
                fi
#elif !defined(TOKEN_BEFORE_THE_QUEUE)
                token = stored
#endif
#if defined(FIELDS) && !defined(FIELD_BEFORE_THE_QUEUE)
                ; along = field
#endif
            };
#ifdef TOKEN_BEFORE_THE_QUEUE
            if
            :: atomic { token == NO_TOKEN || session_of(token) != session_of(stored) -> token = stored }
            :: else
            fi;
#endif

            /* 2. Mark: generation and mark in one write. If it fails, nothing is sent. */
#if !defined(NO_MARK) && !defined(MARK_AFTER_SENDING)
            atomic {
                if
                :: may_write(w) -> write(w, true, stored); start_working(w)
                :: else -> goto give_back
                fi };
#endif

            /* 3. Send, once, and before the deadline. */
            atomic {
                if
                :: must_stop(w) -> goto unsent
                :: else ->
#ifdef FIELDS
                    assert(along == token);           /* so what goes for the token goes for the field */
#endif
                    if
                    :: wire[w] = request; carried[w] = token
                    :: faults > 0 -> faults--; goto unsent
                    fi
                fi };
#ifdef MARK_AFTER_SENDING
            atomic {
                if
                :: may_write(w) -> write(w, true, stored); start_working(w)
                :: else
                fi };
#endif

#ifdef RELEASE_BEFORE_SETTLING
            release(w);
#endif

            /* 4. The headers come, or they do not. */
await:
            atomic {
                if
                :: wire[w] == answer || wire[w] == error || wire[w] == refusal ->
                    reply = wire[w]; wire[w] = quiet;
                    if
                    :: reply == refusal -> refused = token
#ifdef TO_END
                    :: else -> token = carried[w]; wire[w] = (token == NO_TOKEN -> ended : body)
#else
                    :: else -> token = carried[w]; carried[w] = 0
#endif
                    fi
                :: wire[w] == cut -> wire[w] = quiet; goto doubt
#ifdef TTL
                :: wire[w] == request && must_stop(w) ->
                    orphans!carried[w]; wire[w] = quiet; carried[w] = 0; goto doubt
#endif
                fi };

#ifdef TO_END
            /* 5. Store the new token; hold and mark stay to the last byte, when the service takes it for good. */
            atomic {
                if
#ifdef BODY
                :: may_write(w) -> write(w, KEEP_THE_MARK, stored)    /* the body has it */
#else
                :: may_write(w) -> write(w, KEEP_THE_MARK, token)
#endif
                :: else
                fi };
            if
            :: reply == refusal
            :: else ->
#ifdef RELEASE_AT_THE_HEADERS
                atomic { stop_working(w); release(w) };
#endif
                atomic {
                    if
                    :: wire[w] == ended -> wire[w] = quiet; carried[w] = 0
                    :: wire[w] == cut -> wire[w] = quiet; goto doubt
                    fi }
            fi;
#ifdef BODY_AFTER_THE_LEASE
            atomic {
                if
                :: may_write(w) -> write(w, false, stored)
                :: else
                fi;
                stop_working(w); release(w) };
            atomic { write(w, false, token) };
#else
#ifdef BODY
            /* The token first, and then the end of the mark. */
            atomic {
                if
                :: may_write(w) -> write(w, true, token)
                :: else
                fi };
#endif
            atomic {
                if
                :: may_write(w) -> write(w, false, token)
                :: else
                fi;
                stop_working(w) };
#endif
#else
            /* 5. Settle, in one commit: the new token, and the end of the mark. */
#ifdef SETTLE_IN_TWO_STEPS
            atomic {
                if
                :: may_write(w) -> write(w, false, stored); stop_working(w)
                :: else
                fi };
#endif
            atomic {
                if
#ifdef SETTLE_SUCCESSES_ONLY
                :: may_write(w) && reply == error -> write(w, false, stored)
                :: may_write(w) && reply != error -> write(w, false, token)
#elif defined(FIELD_IN_A_SECOND_COMMIT)
                :: may_write(w) -> write(w, false, token)
#else
                :: may_write(w) -> bring(token); write(w, false, token)
#endif
                :: else                                /* the lease has lapsed: theirs stands */
                fi;
#ifdef TOKEN_OF_ITS_OWN
                jar = token;
#endif
                stop_working(w) };
#ifdef FIELD_IN_A_SECOND_COMMIT
            atomic {
                if
                :: may_write(w) -> field = token
                :: else
                fi };
#endif
#endif

            /* 6. Give the lease back; the body streams without it. */
            atomic {
                release(w);
                if
                :: reply != refusal -> left--
                :: else
                fi;
                forget(); reply = 0;
                goto done };

unsent:
            /* Not a byte went out: the token is as good as before. */
            atomic {
#ifndef UNSENT_KEEPS_THE_MARK
                if
                :: may_write(w) -> write(w, false, stored)
                :: else
                fi;
                stop_working(w);
#endif
                goto give_back };

doubt:
            /* It went out, and no answer came: the mark stays for whoever comes next. */
            atomic {
                stop_working(w);
#ifdef SEND_AGAIN
                wire[w] = request; carried[w] = token; goto await;
#endif
#ifdef DOUBT_CLEARS_THE_MARK
                if
                :: may_write(w) -> write(w, false, stored)
                :: else
                fi;
#endif
#ifdef DOUBT_KEEPS_THE_HOLD
                token = 0; goto done
#else
                goto give_back
#endif
            };

#ifdef WAIT
wait:
            /* Until the request that nobody answered cannot arrive any more; the session is free meanwhile. */
            atomic { release(w); forget(); reply = 0 };
            !arrivable(marked_by);
            goto done;
#endif

log_in:
#ifdef LOGIN_WITHOUT_THE_HOLD
            hold = FREE;
#endif
            atomic {
                if
                :: must_stop(w) -> goto give_back
                :: else ->
                    needed(w);
                    logging_in = logging_in | bit_of(w);
                    sessions++;
                    newest[sessions] = sessions * 10 + 1;
                    token = newest[sessions]
                fi };
            atomic {
                logging_in = logging_in & ~bit_of(w);
                if
                :: faults > 0 -> faults--; goto give_back            /* the login's answer is lost */
                :: may_write(w) -> bring(token); write(w, false, token); refused = NO_TOKEN
                :: !may_write(w)                                     /* somebody else has logged in */
                fi };

give_back:
            atomic { release(w); forget(); reply = 0 };
done:
            skip
