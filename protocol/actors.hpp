#pragma once
/// Every typed actor interface, one comment a message. A review of the protocol is a review of this
/// folder; README.md says how the messages follow each other.

#include "protocol/admin.hpp"
#include "protocol/caf_dialect.hpp"
#include "protocol/config_ptr.hpp"
#include "protocol/ingest.hpp"
#include "protocol/questions.hpp"
#include "protocol/status.hpp"

#include <caf/typed_actor.hpp>

#include <cstdint>
#include <string>

namespace phi::atom {

PHI_ATOM(stop);
PHI_ATOM(release);
PHI_ATOM(stopped);
PHI_ATOM(ping);
PHI_ATOM(status);
PHI_ATOM(signaled);
PHI_ATOM(terminate);
PHI_ATOM(lame_duck);
PHI_ATOM(dump);
PHI_ATOM(reload);
PHI_ATOM(apply);
PHI_ATOM(plan);
PHI_ATOM(tick);
PHI_ATOM(restart);
PHI_ATOM(ingest);
PHI_ATOM(drained);
PHI_ATOM(flush);
PHI_ATOM(overdue);
PHI_ATOM(commit);
PHI_ATOM(committed);
PHI_ATOM(append);
PHI_ATOM(spooled);
PHI_ATOM(replay);
PHI_ATOM(replayed);
PHI_ATOM(attach);
PHI_ATOM(ask);
PHI_ATOM(give_up);
PHI_ATOM(command);
PHI_ATOM(check);
PHI_ATOM(lead);

} // namespace phi::atom

namespace phi {

// -- roles: what every actor under the supervisor understands -----------------------------------

using stoppable_actor = caf::typed_actor<
  // Accept no new clients; take only what those before you still hand on.
  accepts<atom::stop, stop_order>,
  // Nobody needs you any more: finish, report `stopped` and quit. Again with `fast`: at once.
  accepts<atom::release, release_order>>;

using pingable_actor = caf::typed_actor<
  // Are you alive? The answer carries a progress counter.
  replies<pong>::to<atom::ping>>;

using status_source_actor = caf::typed_actor<
  // What are you doing?
  replies<actor_status>::to<atom::status>>;

using configurable_actor = caf::typed_actor<
  // From now on these settings hold. Answered when they do.
  replies<pong>::to<atom::apply, config_ptr>>;

using child_actor = stoppable_actor::extend_with<pingable_actor>::extend_with<
  status_source_actor>::extend_with<configurable_actor>;

// -- the supervisor -----------------------------------------------------------------------------

using supervisor_actor = pingable_actor::extend<
  // Stop the service, or escalate a stop under way.
  accepts<atom::terminate, stop_mode, stop_reason>,
  // Lame duck on (true) or off (false).
  accepts<atom::lame_duck, bool>,
  // Lame duck: the other way round.
  accepts<atom::lame_duck>,
  // Write the state of everything to the log.
  accepts<atom::dump>,
  // A child's last words. Its DOWN is the proof.
  accepts<atom::stopped, stopped_report>,
  // How is the service? Answers within a second even when actors are stuck.
  replies<service_status>::to<atom::status>,
  // How would a stop go? Changes nothing.
  replies<stop_forecast>::to<atom::plan>,
  // Read the settings again and have everybody apply them. Requests that come while one is under
  // way are served together by one more.
  replies<reload_report>::to<atom::reload>,
  // Own timer; the number tells a stale one from the current.
  accepts<atom::tick, uint64_t>,
  // Own timer: the state dump has had its time; give the watchdog up unless it pinged meanwhile.
  accepts<atom::give_up, std::string>,
  // Own timer: start child number N again.
  accepts<atom::restart, uint32_t>>;

// -- the children -------------------------------------------------------------------------------

/// Turns signals into what they mean for the service.
using signal_actor = child_actor::extend<
  // A signal has arrived.
  accepts<atom::signaled, heard_signal>>;

/// Who learns what became of a batch.
using commit_listener_actor = caf::typed_actor<
  // What became of a batch.
  accepts<atom::committed, commit_result>>;

/// The one writing connection.
using store_actor = child_actor::extend<
  // Commit this batch and tell the listener. Not a request: its answer counts however late.
  accepts<atom::commit, commit_batch_ptr, commit_listener_actor>>;

/// Who learns what became of batches that were handed to the spool.
using spool_listener_actor = caf::typed_actor<
  // The batch is on disk, or could not be put there.
  accepts<atom::spooled, spool_result>,
  // Events have left the spool for the database, or were found in it at the start.
  accepts<atom::replayed, replay_result>>;

/// A local durable queue for batches that the database does not take; replays them in order.
using spool_actor = child_actor::extend_with<commit_listener_actor>::extend<
  // Keep this batch on disk and tell the listener. Not a request: its answer counts however late.
  accepts<atom::append, commit_batch_ptr, spool_listener_actor>,
  // From now on this is the store (after it was restarted).
  accepts<atom::attach, store_actor>,
  // From now on this actor is told what leaves the spool.
  accepts<atom::attach, spool_listener_actor>,
  // Own timer, and an operator's wish: try the oldest batch now.
  accepts<atom::replay>,
  // Do what an operator asks about what is in it.
  accepts<atom::ask, asked_ptr<spool_task>>,
  // Own message: the next step of what takes long.
  accepts<atom::check>>;

/// Puts the database in order, a step at a time, while that is this instance's duty.
using maintenance_actor = child_actor::extend<
  // Own timer: look whether a step is due.
  accepts<atom::tick>,
  // Own timer, and own message while there is more: count events that no cube holds yet.
  accepts<atom::check>,
  // Whether it is your duty; said again and again while it is.
  accepts<atom::lead, bool>>;

/// Keeps this instance's place among those that share a database.
using membership_actor = child_actor::extend<
  // Own timer: renew the lease.
  accepts<atom::tick>,
  // Do what an operator asks of another instance, or of all.
  accepts<atom::ask, asked_ptr<cluster_task>>>;

/// Read connections: questions are answered here and never block ingest.
using reader_actor = child_actor::extend<
  // Answer this question.
  accepts<atom::ask, asked_ptr<reader_query>>>;

/// A reading connection of its own for what takes long.
using inspector_actor = child_actor::extend<
  // Do this, and answer it.
  accepts<atom::ask, asked_ptr<inspection_task>>>;

/// The queue, its bounds, batches, and the ledger.
using stats_actor =
  child_actor::extend_with<commit_listener_actor>::extend_with<spool_listener_actor>::extend<
    // Take these requests in, or refuse them at once.
    accepts<atom::ingest, ingest_turn_ptr>,
    // From now on this is the store (after it was restarted); null: there is none any more.
    accepts<atom::attach, store_actor>,
    // From now on this is the spool (after it was restarted); null: it cannot be started again, and
    // there is none any more.
    accepts<atom::attach, spool_actor>,
    // Answer with state and ledger, for GET /health.
    accepts<atom::ask, asked_ptr<health_query>>,
    // Own timer: the oldest event has waited long enough.
    accepts<atom::flush, uint64_t>,
    // Own timer: the batch under way may be overdue.
    accepts<atom::overdue>,
    // Own message: everything sent before `release` has been handled.
    accepts<atom::drained>>;

/// The public listener and all that happens on it.
using http_actor = child_actor::extend<
  // All connections are gone.
  accepts<atom::drained>>;

/// Health quorum.
using watchdog_actor = child_actor::extend<
  // Own timer: next round; the number tells a stale one from the current.
  accepts<atom::tick, uint64_t>,
  // Own timer: look at the health of the whole.
  accepts<atom::check>,
  // From now on this is the actor `name`.
  accepts<atom::attach, std::string, pingable_actor>,
  // Own timer: the state dump has had its time; give the process up because of this actor.
  accepts<atom::give_up, std::string>>;

/// Requests of the admin socket, and what is asked about the whole.
using admin_actor = child_actor::extend<
  // Do what this line asks and answer it.
  accepts<atom::command, admin_request_ptr>,
  // Answer what is asked about the service as a whole.
  accepts<atom::ask, asked_ptr<service_query>>>;

} // namespace phi

PHI_MESSAGE(phi::stop_order)
PHI_MESSAGE(phi::release_order)
PHI_MESSAGE(phi::stopped_report)
PHI_MESSAGE(phi::actor_status)
PHI_MESSAGE(phi::pong)
PHI_MESSAGE(phi::service_status)
PHI_MESSAGE(phi::reload_report)
PHI_MESSAGE(phi::stop_forecast)
PHI_MESSAGE(phi::config_ptr)
PHI_MESSAGE(phi::stop_mode)
PHI_MESSAGE(phi::stop_reason)
PHI_MESSAGE(phi::heard_signal)
PHI_MESSAGE(phi::ingest_turn_ptr)
PHI_MESSAGE(phi::commit_batch_ptr)
PHI_MESSAGE(phi::commit_result)
PHI_MESSAGE(phi::spool_result)
PHI_MESSAGE(phi::replay_result)
PHI_MESSAGE(phi::asked_ptr<phi::reader_query>)
PHI_MESSAGE(phi::asked_ptr<phi::inspection_task>)
PHI_MESSAGE(phi::asked_ptr<phi::spool_task>)
PHI_MESSAGE(phi::asked_ptr<phi::cluster_task>)
PHI_MESSAGE(phi::asked_ptr<phi::health_query>)
PHI_MESSAGE(phi::asked_ptr<phi::service_query>)
PHI_MESSAGE(phi::admin_request_ptr)
