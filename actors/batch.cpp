#include "actors/batch.hpp"

#include <algorithm>

namespace phi {
namespace {

digest batch_id(uint64_t run, uint64_t number) {
  digest out{};
  for (size_t i = 0; i < 8; ++i) {
    out[i] = static_cast<uint8_t>(run >> (56 - 8 * i));
    out[i + 8] = static_cast<uint8_t>(number >> (56 - 8 * i));
  }
  return out;
}

} // namespace

void batch_queue::push(ingest_request request, reply_sink_ptr waiting, time_point now) {
  events_ += request.events.size();
  waiting_events_ += request.events.size();
  bytes_ += request.bytes;
  awaited_ += waiting != nullptr;
  queue_.push_back({std::move(request), std::move(waiting), now});
}

cut_batch batch_queue::cut(size_t most) {
  most = std::min(most, bounds_.batch_events);
  cut_batch out{std::make_shared<commit_batch>(), {}, {}};
  auto& batch = *out.batch;
  batch.number = next_number_++;
  while (!queue_.empty()) {
    auto& next = queue_.front();
    if (batch.events > 0 && batch.events + next.request.events.size() > most)
      break;
    batch.events += next.request.events.size();
    awaited_ -= next.waiting != nullptr;
    out.fates.push_back(next.waiting ? cut_batch::fate::awaited : cut_batch::fate::unawaited);
    out.waiting.push_back(std::move(next.waiting));
    batch.requests.push_back(std::move(next.request));
    queue_.pop_front();
  }
  batch.parts = {{batch_id(run_, batch.number), batch.requests.size()}};
  waiting_events_ -= batch.events;
  return out;
}

void batch_queue::forget(const ingest_request& request) {
  events_ -= request.events.size();
  bytes_ -= request.bytes;
}

void batch_queue::done(const commit_batch& batch) {
  for (const auto& request : batch.requests)
    forget(request);
}

void batch_queue::put_back(cut_batch failed, time_point now) {
  auto& requests = failed.batch->requests;
  for (size_t i = 0; i < requests.size(); ++i) {
    if (failed.fates[i] == cut_batch::fate::unawaited) {
      waiting_events_ += requests[i].events.size();
      queue_.push_back({std::move(requests[i]), nullptr, now});
    } else {
      forget(requests[i]);
    }
  }
}

cut_batch batch_queue::without_given_up(const cut_batch& cut) {
  cut_batch out{std::make_shared<commit_batch>(), {}, {}};
  out.batch->number = cut.batch->number;
  for (size_t i = 0; i < cut.fates.size(); ++i) {
    const auto& request = cut.batch->requests[i];
    if (cut.fates[i] == cut_batch::fate::given_up) {
      forget(request);
      continue;
    }
    out.batch->events += request.events.size();
    out.batch->requests.push_back(request);
    out.waiting.push_back(cut.waiting[i]);
    out.fates.push_back(cut.fates[i]);
  }
  out.batch->parts = {{cut.batch->parts.front().id, out.batch->requests.size()}};
  return out;
}

std::vector<turned_away> batch_queue::take_awaited() {
  std::vector<turned_away> out;
  std::deque<item> rest;
  for (auto& next : queue_) {
    if (!next.waiting) {
      rest.push_back(std::move(next));
      continue;
    }
    forget(next.request);
    waiting_events_ -= next.request.events.size();
    out.push_back({std::move(next.request), std::move(next.waiting)});
  }
  awaited_ = 0;
  queue_ = std::move(rest);
  return out;
}

bool batch_queue::only_own() const {
  return std::none_of(queue_.begin(), queue_.end(),
                      [](const item& queued) { return queued.request.awaited; });
}

size_t batch_queue::drop_own() {
  size_t out = 0;
  for (const auto& queued : queue_)
    if (!queued.request.awaited) {
      forget(queued.request);
      out += queued.request.events.size();
    }
  waiting_events_ -= out;
  std::erase_if(queue_, [](const item& queued) { return !queued.request.awaited; });
  return out;
}

std::optional<time_point> batch_queue::oldest() const {
  if (queue_.empty())
    return std::nullopt;
  return queue_.front().since;
}

} // namespace phi
