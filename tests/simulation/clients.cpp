#include "tests/simulation/clients.hpp"

#include <algorithm>

namespace phi::simulation {

using namespace std::chrono_literals;

client::client(surroundings around, const client_plan& plan, uint32_t number)
  : around_(std::move(around)),
    plan_(plan),
    number_(number),
    instance_(number % around_.instances) {}

void client::later(duration wait, void (client::*what)()) {
  around_.on.after(wait, [this, what] { (this->*what)(); });
}

void client::start() {
  later(around_.on.random().time(0ms, 3s), &client::next);
}

void client::finish() {
  finishing_ = true;
  bool useless = plan_.kind == client_kind::idle || plan_.kind == client_kind::dribbling;
  if (!useless)
    return;
  done_ = true;
  for (const auto& there : std::exchange(open_, {}))
    hang_up(there);
}

std::optional<client::place> client::connect() {
  auto* front = around_.front(instance_);
  auto connection = front ? front->connect(*this) : 0;
  if (connection == 0) {
    instance_ = (instance_ + 1) % around_.instances;
    return std::nullopt;
  }
  open_.push_back({instance_, connection, request_});
  return open_.back();
}

void client::hang_up(const place& there) {
  if (auto* front = around_.front(there.instance))
    front->hang_up(there.connection);
}

void client::make_events() {
  events_.clear();
  auto& random = around_.on.random();
  for (auto n = random.between(1, plan_.events); n > 0; --n) {
    event e;
    e.feature = "f" + std::to_string(number_);
    auto which = ++made_;
    for (size_t i = 0; i < 4; ++i) {
      e.identity[i] = static_cast<uint8_t>(number_ >> (24 - 8 * i));
      e.identity[i + 4] = static_cast<uint8_t>(which >> (24 - 8 * i));
    }
    events_.push_back(std::move(e));
    around_.on_new_event(events_.back());
  }
}

void client::next() {
  if (done_)
    return;
  if (plan_.requests-- <= 0) {
    done_ = true;
    return;
  }
  make_events();
  ++request_;
  waits_ = true;
  send();
}

void client::send() {
  if (!waits_ || done_)
    return;
  send_once();
  if (plan_.kind == client_kind::doubling)
    send_once();
}

void client::send_once() {
  auto& random = around_.on.random();
  auto there = connect();
  if (!there) {
    return send_again(random.time(50ms, 2s));
  }
  auto* front = around_.front(there->instance);
  auto of_try = ++tries_;
  switch (plan_.kind) {
    case client_kind::idle: return;
    case client_kind::dribbling: return front->begin_request(there->connection);
    case client_kind::asking: front->ask(there->connection); break;
    default: front->send(there->connection, events_, random.one_in(8) ? 1 : 0);
  }
  if (plan_.kind == client_kind::hasty)
    around_.on.after(random.time(50ms, 6s), [this, of_try] { give_up_waiting(of_try); });
  if (plan_.kind == client_kind::leaving || (plan_.kind == client_kind::asking && random.one_in(2)))
    around_.on.after(random.time(0ms, 500ms), [this, of_try] { give_up_waiting(of_try); });
}

void client::send_again(duration wait) {
  if (std::exchange(sends_again_, true))
    return;
  around_.on.after(wait, [this] {
    sends_again_ = false;
    send();
  });
}

/// Goes without its answer.
void client::give_up_waiting(uint64_t of_try) {
  if (!waits_ || of_try != tries_)
    return;
  for (const auto& there : std::exchange(open_, {}))
    hang_up(there);
  if (plan_.kind != client_kind::hasty)
    return succeeded();
  instance_ = around_.on.random().below(around_.instances);
  send();
}

void client::succeeded() {
  waits_ = false;
  later(around_.on.random().time(0ms, plan_.pause), &client::next);
}

void client::told(uint64_t connection, const ingest_outcome* outcome) {
  auto at = std::find_if(open_.begin(), open_.end(),
                         [&](const place& there) { return there.connection == connection; });
  if (at == open_.end())
    return;
  auto there = *at;
  open_.erase(at);
  if (outcome)
    hang_up(there);
  if (!waits_ || done_ || there.request != request_)
    return;
  bool taken = outcome && outcome->error == error_code::none;
  if (taken || plan_.kind == client_kind::asking)
    return succeeded();
  auto wait = around_.on.random().time(10ms, 1s);
  if (outcome && outcome->retry_after_s > 0)
    wait = std::chrono::seconds{std::min<uint32_t>(outcome->retry_after_s, 3)};
  if (std::none_of(open_.begin(), open_.end(),
                   [&](const place& other) { return other.request == request_; }))
    send_again(wait);
}

} // namespace phi::simulation
