/* The stop of the service: who is told, in which order they leave, and how it ends when they do not.
 *
 * The model of actors/supervisor.cpp, shutdown_plan.cpp, restart_policy.hpp, signal_ladder.hpp,
 * server/process/last_resort.cpp and of as much of HTTP, STATS, READER, STORE and ADMIN as the stop
 * depends on. A handler of an actor is one atomic step, as it is in CAF; what is between two
 * messages is any interleaving.
 *
 * Time is counted in limits that pass: the budget of a child is one step, the deadline the last of
 * them, the forced exit one more. So the model knows what comes before what, and no milliseconds;
 * how late an exit may be is a matter of the drills.
 *
 * README.md says how it is checked, and which lines of the code are which here. */

#ifndef PRESSES
#define PRESSES 2 /* stop signals */
#endif
#ifndef FREEZES
#define FREEZES 1 /* children, or the supervisor, that handle nothing more */
#endif
#ifndef DEATHS
#define DEATHS 1 /* children that die */
#endif
#ifndef RESTARTS
#define RESTARTS 1 /* shutdown.restart_limit */
#endif
#ifndef RELOADS
#define RELOADS 0
#endif
#ifndef REQUESTS
#define REQUESTS 1 /* that the public listener takes */
#endif
#ifndef ALL_ARE_QUICK
#define ALL_ARE_QUICK 0 /* time passes only when nobody has anything to do */
#endif
#ifndef FORCE
#define FORCE 1 /* shutdown.force_quit */
#endif

/* The children, in the order in which they leave (service_graph::rows). */
#define HTTP 0
#define STATS 1
#define READER 2
#define STORE 3
#define ADMIN 4
#define CHILDREN 5
#define SUPERVISOR 5

/* Budgets add up, and the deadline bounds the sums: the budgets of the last three end with it. */
#define LIMIT(i) ((i) == HTTP -> 1 : ((i) == STATS -> 2 : DEADLINE))
#define DEADLINE 3
#define HARD 4

/* Who must be gone before a child is released. */
#define BIT(i) (1 << (i))
#define USERS_OF(i) \
  ((i) == STATS    -> BIT(HTTP) \
   : ((i) == READER -> BIT(HTTP) \
   : ((i) == STORE  -> BIT(STATS) | BIT(READER) \
   : ((i) == ADMIN  -> BIT(STORE) \
   : 0))))

/* A mailbox of orders. They come in this order, and a later one never takes an earlier one back, so
 * a set of them says as much as a list. */
#define TO_STOP 1
#define TO_BE_FAST 2
#define TO_LEAVE 4
#define TO_DIE 8

/* What the supervisor knows of a child outside a stop. */
#define RUNNING 0
#define STARTING 1
#define IN_BACKOFF 2
#define GONE 3

/* How far a child is in the stop (exit_state). */
#define WAITING 0
#define RELEASED 1
#define LATE 2
#define KILLED 3
#define LEFT 4

#define LAME 0
#define GRACEFUL 1
#define FAST 2
#define IMMEDIATE 3

#define CLEAN 0
#define CHILD_DIED 80
#define FORCED_BY_DEADLINE 81
#define FORCED_BY_USER 82
#define UNACCOUNTED 83

/* -- a run that was observed (conform): the model may only do what it did -- */
#define BROADCAST 1 /* and its mode */
#define RELEASE 2   /* is sent, the first time */
#define LEAVES 3    /* a child handles `release`, the first time */
#define DOWN 4      /* the supervisor hears that a child is gone */
#ifdef OBSERVED
#define NOT_THIS_RUN 255
byte seen = 0; /* steps of the run so far */
inline observe(kind, who) {
  if
  :: seen < OBSERVED_STEPS && OBSERVED == kind * 8 + who -> seen++
  :: else -> over = true; exit_code = NOT_THIS_RUN
  fi
}
#else
inline observe(kind, who) { skip }
#endif

/* -- the process -- */
bool alive[CHILDREN];
byte born = 0; /* bits: those that are started again and have handled nothing yet */
byte life[CHILDREN]; /* as the supervisor sees it */
byte orders[CHILDREN];
bool frozen[CHILDREN + 1];
bool listening = true; /* the public listener is open */
bool over = false;     /* the process has ended */
byte exit_code = 0;
byte now = 0;          /* limits that have passed since the stop began */
bool armed = false;    /* the last resort */

/* -- the supervisor -- */
bool begun = false, broadcast_done = false, deadline_passed = false, finished = false;
bool ready = true, reloading = false;
bool someone_killed = false;
bool died = false; /* a child, which is the reason of the stop, or in the stop without last words */
byte mode = LAME;
byte progress[CHILDREN];
byte restarts = 0;
byte backoffs = 0; /* bits: restarts that are due */

/* `left`: a child's last words and its DOWN, which follow each other in the mailbox; `down` alone: it
 * died, or was killed. */
mtype = { terminate, left, down, started, reload };
chan inbox = [9] of { mtype, byte };

/* -- the events -- */
mtype = { ingest, drained, committed, not_committed, attach, detach };
chan to_stats = [8] of { mtype };
chan to_store = [3] of { mtype };
byte accepted = 0, stored = 0, refused = 0; /* requests; each has one event */
byte queued = 0;
/* How often STORE died, and how often STATS has heard of it: what it sends to a dead one is lost. */
byte store_deaths = 0, deaths_known = 0;
bool under_way = false, abandoned = false, committing = false, given_up = false;
bool fast_stats = false, releasing = false, intake_over = false, store_gone = false;
bool closing; /* HTTP has handled `stop` */
bool store_closed = false; /* or it died before the stop */

#define send(channel, what) assert(nfull(channel)); channel!what
#define send2(channel, what, i) assert(nfull(channel)); channel!what(i)

#define out_of_the_way(i) (progress[i] == LEFT || progress[i] == KILLED)
#define users_gone(i) \
  (((USERS_OF(i) & BIT(HTTP)) == 0 || out_of_the_way(HTTP)) && \
   ((USERS_OF(i) & BIT(STATS)) == 0 || out_of_the_way(STATS)) && \
   ((USERS_OF(i) & BIT(READER)) == 0 || out_of_the_way(READER)) && \
   ((USERS_OF(i) & BIT(STORE)) == 0 || out_of_the_way(STORE)))
#define all_left \
  (progress[0] == LEFT && progress[1] == LEFT && progress[2] == LEFT && progress[3] == LEFT && \
   progress[4] == LEFT)
/* Nothing else than the store keeps STATS, and it does nothing meanwhile. */
#define someone_is_stuck \
  (frozen[0] || frozen[1] || frozen[2] || frozen[3] || frozen[4] || frozen[5])
#define excused(i) ((i) == STATS && under_way && !frozen[STATS])

/* Only STATS does something else when it has to be fast. */
#define fast_for(i, wanted) ((i) == STATS && (wanted) -> TO_BE_FAST : 0)

/* The process ends: the last thing that happens. */
inline leave_process(code) {
#ifdef OBSERVED
  /* Found: the model allows the whole run, and this end of it. */
  assert(over || seen < OBSERVED_STEPS || code != OBSERVED_EXIT);
#endif
  exit_code = code;
  over = true;
  assert(code != FORCED_BY_DEADLINE || FORCE && begun && now >= DEADLINE);
  assert(code != CLEAN || accepted == stored + refused);
  assert(code != CLEAN || store_closed && !listening);
  assert(code != CLEAN || !(alive[0] || alive[1] || alive[2] || alive[3] || alive[4]));
  assert(code != CLEAN || !someone_killed);
  assert(code != UNACCOUNTED); /* the store takes everything here */
  assert(code != FORCED_BY_DEADLINE || !ALL_ARE_QUICK || someone_is_stuck);
  /* Who is stuck does not keep the database from being closed. */
  assert(code != FORCED_BY_DEADLINE || !ALL_ARE_QUICK || frozen[SUPERVISOR] || frozen[STORE] ||
    store_closed);
}

/* shutdown_plan::finish_if_done and ::verdict */
inline finish_if_done() {
  if
  :: !finished && all_left ->
    finished = true;
    if
    :: deadline_passed && FORCE -> leave_process(FORCED_BY_DEADLINE)
    :: else ->
      if
      :: died -> leave_process(CHILD_DIED)
      :: else ->
        if
        :: accepted != stored + refused -> leave_process(UNACCOUNTED)
        :: else -> leave_process(CLEAN)
        fi
      fi
    fi
  :: else
  fi
}

/* shutdown_plan::release_ready */
inline release_ready() {
  k = 0;
  do
  :: k < CHILDREN ->
    if
    :: progress[k] == WAITING && users_gone(k) ->
      progress[k] = RELEASED;
      observe(RELEASE, k);
      orders[k] = orders[k] | TO_LEAVE | fast_for(k, deadline_passed || mode >= FAST)
    :: else
    fi;
    k++
  :: else -> break
  od
}

/* shutdown_plan::broadcast */
inline broadcast() {
  observe(BROADCAST, mode);
  broadcast_done = true;
  j = 0;
  do
  :: j < CHILDREN ->
    if
    :: progress[j] != LEFT -> orders[j] = orders[j] | TO_STOP | fast_for(j, mode >= FAST)
    :: else
    fi;
    j++
  :: else -> break
  od;
  release_ready();
  finish_if_done()
}

/* Nobody is told so once a stop has begun. */
inline tell_ready() {
  assert(!begun);
  ready = true
}

inline start_child(i) {
  life[i] = STARTING;
  born = born | BIT(i);
  orders[i] = 0;
  if
  :: i == HTTP -> closing = false
  :: else
  fi;
  backoffs = backoffs & (31 - BIT(i));
  if
  :: i == STORE -> send(to_stats, attach)
  :: else
  fi
}

/* child_spec::given_up */
inline give_up(i) {
  if
  :: i == HTTP -> listening = false
  :: i == STORE -> store_closed = true; send(to_stats, detach)
  :: else
  fi
}

/* supervisor.cpp: begin_stop */
inline begin_stop(wanted) {
  if
  :: wanted == IMMEDIATE -> leave_process(FORCED_BY_USER)
  :: else ->
    if
    :: begun && wanted > mode && !finished -> /* shutdown_plan::escalate */
      mode = wanted;
      broadcast()
    :: begun -> skip
    :: else ->
      begun = true;
      mode = wanted;
      armed = FORCE;
      n = 0;
      do
      :: n < CHILDREN ->
        if
        :: life[n] == IN_BACKOFF && (n == HTTP || n == STORE || n == ADMIN) -> start_child(n)
        :: life[n] == IN_BACKOFF && n != HTTP && n != STORE && n != ADMIN -> give_up(n)
        :: else
        fi;
        if
        :: life[n] != RUNNING && life[n] != STARTING -> progress[n] = LEFT
        :: else
        fi;
        n++
      :: else -> break
      od;
      ready = false;
      broadcast()
    fi
  fi
}

/* supervisor.cpp: child_is_gone, child_died */
inline child_is_gone(i, without_words) {
  observe(DOWN, i);
  if
  :: !begun ->
    life[i] = GONE;
    if
    :: (i == HTTP || i == READER || i == STORE || i == ADMIN) && restarts < RESTARTS ->
      restarts++;
      life[i] = IN_BACKOFF;
      backoffs = backoffs | BIT(i)
    :: else ->
      give_up(i);
      died = true;
      begin_stop(GRACEFUL)
    fi
  :: else ->
    life[i] = GONE;
    give_up(i);
    assert(progress[i] != LEFT); /* each child ends once */
    if
    :: without_words && progress[i] != KILLED -> died = true
    :: else
    fi;
    progress[i] = LEFT;
    if
    :: broadcast_done -> release_ready()
    :: else
    fi;
    finish_if_done()
  fi
}

/* shutdown_plan::escalate_late */
inline escalate_late() {
  some = false;
  k = 0;
  do
  :: k < CHILDREN ->
    if
    :: progress[k] == RELEASED && now >= LIMIT(k) ->
      progress[k] = LATE;
      some = true;
      orders[k] = orders[k] | TO_LEAVE | fast_for(k, true)
    :: else
    fi;
    k++
  :: else -> break
  od;
  k = 0;
  do
  :: some && mode < FAST && k < CHILDREN ->
    if
    :: progress[k] == WAITING -> orders[k] = orders[k] | TO_STOP | fast_for(k, true)
    :: else
    fi;
    k++
  :: else -> break
  od
}

/* shutdown_plan::pass_deadline */
inline pass_deadline() {
  deadline_passed = true;
  k = 0;
  do
  :: k < CHILDREN ->
    if
    :: FORCE && (progress[k] == RELEASED || progress[k] == LATE) && !excused(k) ->
      progress[k] = KILLED;
      someone_killed = true;
      orders[k] = orders[k] | TO_DIE
    :: else
    fi;
    k++
  :: else -> break
  od;
  if
  :: FORCE -> release_ready()
  :: else
  fi
}

#define time_is_due \
  (begun && !finished && !deadline_passed && \
   (now >= DEADLINE || progress[HTTP] == RELEASED && now >= LIMIT(HTTP) \
       || progress[STATS] == RELEASED && now >= LIMIT(STATS)))

#define lives (!over && !frozen[SUPERVISOR])

active proctype supervisor() {
  byte i, j, k, n;
  bool some;
  mtype what;
end:
  do
  :: atomic { lives && nempty(inbox) ->
      inbox?what(i);
      if
      :: what == terminate -> begin_stop(i)
      :: what == left -> child_is_gone(i, false)
      :: what == down -> child_is_gone(i, true)
      :: what == started ->
        if
        :: life[i] == STARTING -> life[i] = RUNNING
        :: else
        fi
      :: what == reload ->
        if
        :: begun || reloading -> skip
        :: else ->
          reloading = true;
          ready = false
        fi
      fi;
      what = 0; i = 0; j = 0; k = 0; n = 0; some = false }
  /* supervisor_reload.cpp: finish. All have applied the settings, or their time is over; in whatever
   * order, which makes no difference to the stop. */
  :: atomic { lives && reloading ->
      reloading = false;
      if
      :: !begun -> tell_ready()
      :: else
      fi }
  :: atomic { lives && backoffs != 0 && !begun -> /* restart_child */
      do
      :: (backoffs & BIT(j)) != 0 -> break
      :: else -> j++
      od;
      start_child(j);
      j = 0 }
  :: atomic { lives && time_is_due ->
      escalate_late();
      if
      :: now >= DEADLINE -> pass_deadline()
      :: else
      fi;
      k = 0; some = false }
  od
}

/* -- the children ------------------------------------------------------------------------------ */

inline hand_to_store() {
  if
  :: store_deaths == deaths_known -> send(to_store, ingest)
  :: else
  fi
}

inline take_from_queue() {
  if
  :: queued > 0 && !under_way && !store_gone ->
    queued--;
    under_way = true;
    committing = false;
    abandoned = false;
    given_up = false;
    hand_to_store()
  :: queued > 0 && !under_way && store_gone -> /* who waits is refused at once */
    refused = refused + queued;
    queued = 0
  :: else
  fi
}

/* stats.cpp: refuse_the_waiting; stats_batches.cpp: give_up_batch */
inline refuse_the_waiting() {
  if
  :: !fast_stats ->
    fast_stats = true;
    refused = refused + queued;
    queued = 0;
    if
    :: under_way && !committing -> abandoned = true; given_up = true; refused++
    :: else
    fi
  :: else
  fi
}

#define works(i) (!over && !frozen[i] && life[i] != GONE && life[i] != IN_BACKOFF && alive[i])

/* child.hpp: leave */
inline leave(i) {
  alive[i] = false;
  orders[i] = 0;
  send2(inbox, left, i)
}

inline handle_stop(i) {
  orders[i] = orders[i] & (31 - TO_STOP);
  closing = true;
  listening = false
}

inline drop_work(i) {
  if
  :: i == STORE -> /* its mailbox goes with it */
    store_deaths++;
    do
    :: to_store?_
    :: empty(to_store) -> break
    od
  :: else
  fi
}

#define stats_is_done (intake_over && !under_way && queued == 0)

inline handle_message_of_stats() {
  if
  :: what == ingest && fast_stats -> refused++
  :: what == ingest && !fast_stats -> queued++
  :: what == drained -> intake_over = true
  :: what == committed && under_way -> under_way = false; stored++
  :: what == not_committed && under_way ->
    under_way = false;
    if
    :: !given_up -> refused++
    :: else
    fi
  :: what == attach && !under_way -> deaths_known++
  :: what == attach && under_way && abandoned -> deaths_known++; under_way = false
  :: what == attach && under_way && !abandoned -> /* `reopen`, and once more */
    deaths_known++;
    committing = false;
    hand_to_store()
  :: what == detach ->
    store_gone = true;
    if
    :: under_way && !given_up -> refused++
    :: else
    fi;
    under_way = false
  :: else
  fi;
  take_from_queue()
}

proctype child(byte me) {
  mtype what;
end:
  do
  /* its start */
  :: atomic { !over && !frozen[me] && (born & BIT(me)) != 0 ->
      born = born & (31 - BIT(me));
      alive[me] = true;
      if
      :: me == HTTP -> listening = true
      :: else
      fi;
      send2(inbox, started, me) }
  :: atomic { works(me) && (orders[me] & TO_DIE) -> drop_work(me); alive[me] = false; orders[me] = 0; send2(inbox, down, me) }
  :: atomic { works(me) && me == HTTP && (orders[me] & TO_STOP) -> handle_stop(me) }
  :: atomic { works(me) && me == STATS && (orders[me] & TO_BE_FAST) && !fast_stats ->
      refuse_the_waiting() }
  /* `release` comes behind `stop`, which means nothing to others than HTTP. */
  :: atomic { works(me) && (orders[me] & TO_LEAVE) && !(me == HTTP && (orders[me] & TO_STOP)) ->
      assert(me != HTTP || closing);
      if
      :: me != STATS || !releasing -> observe(LEAVES, me)
      :: else
      fi;
      if
      :: me == STATS && !releasing ->
        assert(out_of_the_way(HTTP)); /* ingress is closed before anything is flushed for good */
        releasing = true;
        orders[me] = orders[me] & (31 - TO_LEAVE);
        send(to_stats, drained)
      :: me == STATS && releasing -> orders[me] = orders[me] & (31 - TO_LEAVE)
      :: me == STORE ->
        assert(out_of_the_way(STATS) && out_of_the_way(READER));
        store_closed = true;
        leave(me)
      :: me != STATS && me != STORE -> leave(me)
      fi }
  :: atomic { works(me) && me == STATS && stats_is_done -> leave(me) }
  /* HTTP takes a request. */
  :: atomic { works(me) && me == HTTP && listening && !closing && accepted < REQUESTS ->
      accepted++;
      send(to_stats, ingest) }
  /* STATS */
  :: atomic { works(me) && me == STATS && nempty(to_stats) ->
      to_stats?what;
      handle_message_of_stats();
      what = 0 }
  /* STORE: a transaction up to its COMMIT, and COMMIT itself. */
  :: atomic { works(me) && me == STORE && !committing && nempty(to_store) && abandoned ->
      to_store?ingest;
      send(to_stats, not_committed) }
  :: atomic { works(me) && me == STORE && !committing && nempty(to_store) && !abandoned ->
      committing = true }
  :: atomic { works(me) && me == STORE && committing && nempty(to_store) ->
      to_store?ingest;
      send(to_stats, committed) }
  od
}

/* -- what happens to them ---------------------------------------------------------------------- */

#if !ALL_ARE_QUICK
active proctype clock() {
end:
  do
  :: atomic { !over && begun && now < HARD -> now++ }
  od
}
#endif

/* server/process/last_resort.cpp: a thread of its own, which nothing holds up. */
active proctype last_resort() {
end:
  do
  :: atomic { !over && armed && now >= HARD -> leave_process(FORCED_BY_DEADLINE) }
  od
}

/* The first press is a graceful stop, the second a fast one; the third ends the process from the
 * thread of the signals, whoever is stuck. */
active proctype person() {
  byte pressed = 0, patience;
  select(patience : 0 .. PRESSES);
end:
  do
  :: atomic { !over && pressed < patience && pressed < 2 && nfull(inbox) ->
      pressed++;
      inbox!terminate(pressed) }
  :: atomic { !over && pressed < patience && pressed == 2 -> pressed++; leave_process(FORCED_BY_USER) }
  od
}

#if RELOADS
active proctype operator() {
  byte asked = 0;
end:
  do
  :: atomic { !over && asked < RELOADS && nfull(inbox) -> asked++; inbox!reload(0) }
  od
}
#endif

#if FREEZES
active proctype freezing() {
  byte budget, i;
  select(budget : 0 .. FREEZES);
end:
  do
  :: atomic { !over && budget > 0 ->
      select(i : 0 .. SUPERVISOR);
      frozen[i] = true;
      i = 0;
      budget-- }
  od
}
#endif

#if DEATHS
#define may_die(i) (!over && budget > 0 && alive[i] && !frozen[i])

inline die(i) {
  budget--;
  alive[i] = false;
  orders[i] = 0;
  drop_work(i);
  send2(inbox, down, i)
}

active proctype dying() {
  byte budget;
  select(budget : 0 .. DEATHS);
end:
  do
  :: atomic { may_die(HTTP) -> die(HTTP) }
  :: atomic { may_die(STATS) -> die(STATS) }
  :: atomic { may_die(READER) -> die(READER) }
  :: atomic { may_die(STORE) -> die(STORE) }
  :: atomic { may_die(ADMIN) -> die(ADMIN) }
  od
}
#endif

init {
  atomic {
    byte i = 0;
    do
    :: i < CHILDREN ->
      alive[i] = true;
      run child(i);
      i++
    :: else -> break
    od
  }
}

/* -- the end ----------------------------------------------------------------------------------- */

/* Nothing moves any more: then the process has ended, if ever it was to stop. Only without `force`
 * may somebody who is stuck hold it for ever. As nothing can go on for ever either (README.md), it
 * always ends. */
active proctype standstill() {
end:
  do
  :: atomic { timeout ->
      if
      :: ALL_ARE_QUICK && begun && !over && now < HARD -> now++
      :: else -> assert(!begun || over || !FORCE && someone_is_stuck); break
      fi }
  od
}
