/* How a batch of events gets from the queue to the store, or to the spool and from there to the
 * store, and who is told what meanwhile.
 *
 * The model of actors/stats.cpp, stats_batches.cpp, stats_spool.cpp, spool.cpp, store.cpp and of
 * commit_batch (protocol/ingest.hpp). A handler of an actor is one atomic step; but a commit is
 * three: it reads the batch, asks whether it may commit, and commits.
 *
 * Two requests of one event each are on their way: somebody waits for the answer to the first;
 * nobody for the second, which was taken already and must be stored. The database knows the
 * identity of each event: what it has is not stored again. README.md says how all this is checked. */

#ifndef SPOOL
#define SPOOL 1
#endif
#ifndef REFUSALS
#define REFUSALS 1 /* the database says no, or nobody knows what it said */
#endif
#ifndef DEATHS
#define DEATHS 1 /* of STORE or SPOOL */
#endif
#ifndef KILLS
#define KILLS 0 /* of the whole process, which is started again */
#endif
#ifndef OVERDUES
#define OVERDUES 1 /* a store that is silent for too long */
#endif
#ifndef STOPS
#define STOPS 1 /* a fast stop: nobody may wait any longer */
#endif
#ifndef FOR_GOOD
#define FOR_GOOD 0 /* a store that dies is not started again */
#endif

#define REQUESTS 2
#define AWAITED 1   /* bit of the request that somebody waits for */
#define UNAWAITED 2 /* bit of the other */

/* answers */
#define NOT_YET 0
#define STORED 1  /* 200 */
#define SPOOLED 2 /* 202 */
#define REFUSED 3 /* 503 */
#define UNKNOWN 4 /* 503, outcome unknown */

/* stats_state::stage */
#define IDLE 0
#define AT_STORE 1
#define GIVEN_UP 2
#define AT_BOTH 3
#define AT_SPOOL 4
#define LATE 5
#define in_spool (at >= AT_BOTH)

/* commit_batch::phase */
#define OPEN 0
#define COMMITTING 1
#define ABANDONED 2

/* what the store says */
#define COMMITTED 0
#define NOT_COMMITTED 1
#define IN_DOUBT 2

/* cut_batch::fate of the first request; that of the second is always `unawaited` */
#define WAITS 0
#define FATE_GIVEN_UP 1
#define FATE_UNKNOWN 2

/* what a message is about: a batch of STATS has its number, one of the spool has 0 */
#define OF_SPOOL 0
#define MOST 9

/* -- what survives the process -- */
byte rows = 0;      /* bits of the requests whose event is in the database */
byte in_file = 0;   /* bits of the requests in the spool's file */
byte answer = NOT_YET;

/* -- STATS -- */
byte queue = AWAITED | UNAWAITED;
byte at = IDLE;
byte batch = 0;     /* bits of the requests in the batch under way */
byte number = 0;
byte fate = WAITS;
bool copied = false;  /* the batch under way is a copy without what was given up */
bool copy_abandoned = false;
bool away = false, in_doubt = false, escalated = false, said_committed = false;
bool store_gone = false;
bool lost_sight = false; /* the spool does not know whether it has a batch, and may find it later */

/* -- commit_batch, which STATS and STORE share -- */
byte phase[MOST];
byte content[MOST];

/* -- the ledger -- */
byte settled = 0;   /* bits: stored or duplicates */
byte refused = 0;   /* bits */
byte spooled = 0;   /* bits: counted as being in the spool */

mtype = { committed, appended, attach_store, detach_store, attach_spool, replayed };
chan to_stats = [9] of { mtype, byte, byte };
chan to_store = [4] of { byte };
chan to_spool = [3] of { byte };     /* appends: bits of the requests */
chan spool_hears = [3] of { byte };  /* what the store says of a replay */

/* How often STORE and SPOOL were started again, and what of it STATS has heard: what it sends to one
 * that is dead is lost. */
byte store_run = 0, store_known = 0, spool_run = 0, spool_known = 0;

byte store_has = 99; /* the number of the batch in STORE's hands; 99: none */
byte replaying = 0;  /* bits of what SPOOL has at STORE */
bool store_alive = true, spool_alive = true;
byte refusals = REFUSALS, deaths = DEATHS, kills = KILLS, overdues = OVERDUES, stops = STOPS;

#define tell_stats(what, n, result) assert(nfull(to_stats)); to_stats!what(n, result)

/* Each is answered once. */
inline reply(what) {
  assert(answer == NOT_YET);
  answer = what
}

#define is_abandoned ((copied && copy_abandoned) || (!copied && phase[number] == ABANDONED))

/* stats_batches.cpp: give_up_batch */
inline give_up_batch() {
  if
  :: at == IDLE || in_spool -> skip
  :: else ->
    at = GIVEN_UP;
    if
    :: copied -> copy_abandoned = true
    :: !copied && phase[number] == OPEN -> phase[number] = ABANDONED
    :: else
    fi;
    if
    :: (batch & AWAITED) && fate == WAITS ->
      if
      :: is_abandoned ->
        fate = FATE_GIVEN_UP;
        refused = refused | AWAITED;
        if
        :: in_doubt -> reply(UNKNOWN)
        :: else -> reply(REFUSED)
        fi
      :: else ->
        fate = FATE_UNKNOWN;
        reply(UNKNOWN)
      fi
    :: else
    fi
  fi
}

inline append() {
  if
  :: spool_known == spool_run -> assert(nfull(to_spool)); to_spool!batch
  :: else
  fi
}

/* stats_spool.cpp: hand_to_spool */
inline hand_to_spool(from_now) {
  at = from_now;
  if
  :: is_abandoned ->
    copied = true;
    copy_abandoned = false;
    if
    :: fate == FATE_GIVEN_UP -> batch = batch & UNAWAITED
    :: else
    fi
  :: else
  fi;
  append()
}

/* batch.cpp: put_back; stats_batches.cpp: batch_refused */
inline batch_refused(unsure) {
  if
  :: (batch & AWAITED) && fate == WAITS ->
    refused = refused | AWAITED;
    if
    :: in_doubt || unsure -> reply(UNKNOWN)
    :: else -> reply(REFUSED)
    fi
  :: (batch & AWAITED) && fate == FATE_UNKNOWN -> refused = refused | AWAITED
  :: else
  fi;
  queue = queue | (batch & UNAWAITED);
  end_batch()
}

inline end_batch() {
  at = IDLE;
  batch = 0;
  fate = WAITS;
  copied = false;
  copy_abandoned = false;
  in_doubt = false;
  said_committed = false
}

inline batch_committed() {
  settled = settled | (batch & (fate == FATE_GIVEN_UP -> UNAWAITED : 3));
  if
  :: (batch & AWAITED) && fate == WAITS -> reply(STORED)
  :: else
  fi;
  end_batch()
}

inline batch_spooled() {
  spooled = spooled | batch;
  if
  :: (batch & AWAITED) && fate == WAITS -> reply(SPOOLED)
  :: else
  fi;
  end_batch()
}

/* stats_batches.cpp: settle_batch */
inline settle_batch(result) {
  if
  :: result == IN_DOUBT -> in_doubt = true
  :: else
  fi;
  if
  :: at == AT_SPOOL || at == LATE -> skip
  :: at == AT_BOTH && result == COMMITTED -> at = LATE
  :: at == AT_BOTH && result != COMMITTED -> at = AT_SPOOL
  :: at == AT_STORE || at == GIVEN_UP ->
    if
    :: result == COMMITTED -> batch_committed()
    :: result != COMMITTED && (!SPOOL || is_abandoned) -> batch_refused(result == IN_DOUBT)
    :: else ->
      away = true;
      hand_to_spool(AT_SPOOL)
    fi
  fi
}

/* stats_spool.cpp: settle_spooled */
inline settle_spooled(result) {
  if
  :: !in_spool -> skip
  :: in_spool && result == COMMITTED -> batch_spooled()
  :: else ->
    away = false;
    if
    :: result == IN_DOUBT -> in_doubt = true
    :: else
    fi;
    if
    :: at == LATE -> batch_committed()
    :: at == AT_BOTH -> at = AT_STORE; give_up_batch()
    :: else -> batch_refused(result == IN_DOUBT)
    fi
  fi
}

/* stats_batches.cpp: hand_to_store */
inline hand_to_store() {
  if
  :: store_gone -> settle_batch(NOT_COMMITTED)
  :: !store_gone && store_known == store_run -> assert(nfull(to_store)); to_store!number
  :: else
  fi
}

/* stats_batches.cpp: maybe_commit, commit_next */
inline maybe_commit() {
  if
  :: at == IDLE && queue != 0 && !(store_gone && !SPOOL && queue == UNAWAITED) ->
    if /* both together, or each for itself */
    :: batch = queue
    :: queue == 3 -> batch = AWAITED
    fi;
    queue = queue & (3 - batch);
    number++;
    assert(number < MOST);
    content[number] = batch;
    phase[number] = OPEN;
    if
    :: SPOOL && away -> hand_to_spool(AT_SPOOL)
    :: else -> at = AT_STORE; hand_to_store()
    fi
  :: else
  fi
}

/* stats_batches.cpp: attach_store */
inline attach_new_store() {
  if
  :: at == IDLE || at == AT_SPOOL || at == LATE -> skip
  :: else ->
    if
    :: !copied && phase[number] == COMMITTING -> in_doubt = true
    :: else
    fi;
    if
    :: at == AT_BOTH -> at = AT_SPOOL
    :: at != AT_BOTH && is_abandoned -> batch_refused(false)
    :: else ->
      phase[number] = OPEN;
      hand_to_store()
    fi
  fi
}

active proctype stats() {
  mtype what;
  byte about, result;
  atomic { maybe_commit() }
end:
  do
  :: atomic { nempty(to_stats) ->
      to_stats?what(about, result);
      if
      :: what == committed && about == number && at != IDLE -> settle_batch(result)
      :: what == appended -> settle_spooled(result)
      :: what == attach_store -> store_known++; attach_new_store()
      :: what == detach_store -> store_gone = true; attach_new_store()
      :: what == attach_spool ->
        spool_known++;
        if
        :: in_spool -> in_doubt = true; append()
        :: else
        fi
      :: what == replayed ->
        settled = settled | about;
        spooled = spooled & (3 - about);
        away = false
      :: else
      fi;
      maybe_commit();
      what = 0; about = 0; result = 0 }
  /* check_overdue */
  :: atomic { overdues > 0 && at != IDLE && !in_spool && (SPOOL || at != GIVEN_UP) ->
      overdues--;
      if
      :: SPOOL ->
        away = true;
        if
        :: copied -> copy_abandoned = true
        :: !copied && phase[number] == OPEN -> phase[number] = ABANDONED
        :: else
        fi;
        hand_to_spool(AT_BOTH)
      :: else -> give_up_batch()
      fi }
  /* stats.cpp: refuse_the_waiting */
  :: atomic { stops > 0 ->
      stops--;
      escalated = true;
      if
      :: queue & AWAITED ->
        queue = queue & UNAWAITED;
        refused = refused | AWAITED;
        reply(REFUSED)
      :: else
      fi;
      give_up_batch() }
  od
}

/* The store answers whom the batch is of. */
inline say(result) {
  if
  :: store_has == OF_SPOOL -> assert(nfull(spool_hears)); spool_hears!result
  :: else -> tell_stats(committed, store_has, result)
  fi;
  store_has = 99
}

active proctype store() {
end:
  do
  :: atomic { store_alive && store_has == 99 && nempty(to_store) -> to_store?store_has }
  /* Before COMMIT it asks (begin_commit); what has been given up is rolled back. */
  :: atomic { store_alive && store_has < MOST && store_has != OF_SPOOL &&
      phase[store_has] == ABANDONED -> say(NOT_COMMITTED) }
  :: atomic { store_alive && store_has < MOST && store_has != OF_SPOOL && phase[store_has] == OPEN ->
      phase[store_has] = COMMITTING }
  :: atomic { store_alive && store_has < MOST && store_has != OF_SPOOL &&
      phase[store_has] == COMMITTING ->
      rows = rows | content[store_has];
      say(COMMITTED) }
  :: atomic { store_alive && store_has == OF_SPOOL ->
      rows = rows | replaying;
      say(COMMITTED) }
  /* The database refuses, before COMMIT; the batch stays open for another try. */
  :: atomic { store_alive && store_has < MOST && refusals > 0 &&
      (store_has == OF_SPOOL || phase[store_has] == OPEN) ->
      refusals--;
      say(NOT_COMMITTED) }
  /* The connection is lost in COMMIT. */
  :: atomic { store_alive && store_has < MOST && refusals > 0 &&
      (store_has == OF_SPOOL || phase[store_has] == COMMITTING) ->
      refusals--;
      if
      :: store_has == OF_SPOOL -> rows = rows | replaying
      :: store_has != OF_SPOOL -> rows = rows | content[store_has]
      :: skip
      fi;
      say(IN_DOUBT) }
  /* It dies, before or after COMMIT, and is started again or not. */
  :: atomic { store_alive && deaths > 0 ->
      deaths--;
      if
      :: store_has < MOST && store_has != OF_SPOOL && phase[store_has] == COMMITTING ->
        rows = rows | content[store_has]
      :: store_has == OF_SPOOL -> rows = rows | replaying
      :: skip
      fi;
      store_has = 99;
      do
      :: nempty(to_store) -> to_store?_
      :: empty(to_store) -> break
      od;
      if
      :: FOR_GOOD -> store_alive = false; tell_stats(detach_store, 0, 0)
      :: else -> store_run++; tell_stats(attach_store, 0, 0)
      fi;
      replaying = 0 }
  od
}

#if SPOOL
inline spool_dies() {
  deaths--;
  do
  :: nempty(to_spool) -> to_spool?_
  :: empty(to_spool) -> break
  od;
  spool_run++;
  tell_stats(attach_spool, 0, 0)
}

active proctype spool() {
  byte bits, result;
end:
  do
  :: atomic { spool_alive && nempty(to_spool) ->
      to_spool?bits;
      if
      :: in_file = in_file | bits; tell_stats(appended, 0, COMMITTED)
      :: refusals > 0 -> refusals--; tell_stats(appended, 0, NOT_COMMITTED) /* its disk is full */
      :: refusals > 0 -> /* nobody knows whether it is in the file */
        refusals--;
        if
        :: in_file = in_file | bits
        :: skip
        fi;
        lost_sight = true;
        tell_stats(appended, 0, IN_DOUBT)
      :: deaths > 0 && replaying == 0 -> /* it has written it, and dies before it says so */
        in_file = in_file | bits;
        lost_sight = true;
        spool_dies()
      fi;
      bits = 0 }
  :: atomic { spool_alive && in_file != 0 && replaying == 0 && store_alive && nfull(to_store) &&
      empty(spool_hears) ->
      replaying = in_file;
      to_store!OF_SPOOL }
  :: atomic { spool_alive && nempty(spool_hears) ->
      spool_hears?result;
      if
      :: result == COMMITTED && replaying != 0 ->
        in_file = in_file & (3 - replaying);
        tell_stats(replayed, replaying, 0)
      :: else
      fi;
      replaying = 0;
      result = 0 }
  :: atomic { spool_alive && deaths > 0 && replaying == 0 -> spool_dies() } /* between two messages */
  od
}
#endif

#if KILLS
/* Everything in memory is gone. Who waits gets no answer; what was taken and neither stored nor
 * spooled is lost with it, which durability = "queued" allows, and only that. */
active proctype killing() {
end:
  do
  :: atomic { kills > 0 ->
      kills--;
      if
      :: store_has < MOST && store_has != OF_SPOOL && phase[store_has] == COMMITTING ->
        rows = rows | content[store_has]
      :: store_has == OF_SPOOL -> rows = rows | replaying
      :: skip
      fi;
      do :: nempty(to_stats) -> to_stats?_(_, _) :: empty(to_stats) -> break od;
      do :: nempty(to_store) -> to_store?_ :: empty(to_store) -> break od;
      do :: nempty(to_spool) -> to_spool?_ :: empty(to_spool) -> break od;
      do :: nempty(spool_hears) -> spool_hears?_ :: empty(spool_hears) -> break od;
      store_has = 99;
      store_alive = true;
      store_gone = false;
      replaying = 0;
      queue = 0;
      at = IDLE;
      end_batch();
      away = false;
      overdues = 0;
      stops = 0 }
  od
}
#endif

/* Nothing moves any more. */
active proctype standstill() {
  timeout ->
    /* no jam */
    assert(at == IDLE && (queue == 0 || store_gone && !SPOOL));
    assert(in_file == 0 || !store_alive);
    assert(kills < KILLS || answer != NOT_YET);
    /* what was acknowledged is there, or in the spool while there is no store; what was refused is
     * not */
    assert(answer != STORED || (rows & AWAITED));
    assert(answer != SPOOLED || ((rows | in_file) & AWAITED));
    assert(answer != REFUSED || !((rows | in_file) & AWAITED));
    assert(kills < KILLS || ((rows | in_file | queue) & UNAWAITED));
    /* the ledger: each request is in one place, but for what nobody knew of and was found later */
    assert(kills < KILLS || (settled & refused) == 0 || answer == UNKNOWN);
    assert(kills < KILLS || (spooled & settled) == 0 || lost_sight);
    assert(kills < KILLS || (spooled & refused) == 0 || answer == UNKNOWN);
    assert(kills < KILLS || (settled | refused | spooled | queue) == 3)
}
