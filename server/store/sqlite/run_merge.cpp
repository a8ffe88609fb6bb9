#include "server/store/sqlite/run_merge.hpp"

#include <algorithm>
#include <utility>

namespace phi::store {
namespace {

class memory_digests : public sorted_digests {
public:
  explicit memory_digests(std::vector<digest> unsorted) : digests_(std::move(unsorted)) {}

  std::span<const digest> more() override {
    if (std::exchange(given_, true))
      return {};
    std::sort(digests_.begin(), digests_.end());
    return digests_;
  }

private:
  std::vector<digest> digests_;
  bool given_ = false;
};

class run_digests : public sorted_digests {
public:
  run_digests(identity_tables& tables, const identity_run& run) : tables_(tables), run_(run) {}

  std::span<const digest> more() override {
    if (next_ == run_.blocks())
      return {};
    block_ = tables_.block(run_, next_++);
    return block_;
  }

private:
  identity_tables& tables_;
  const identity_run& run_;
  std::vector<digest> block_;
  size_t next_ = 0;
};

/// For a heap with the smallest in front.
constexpr auto later = [](const auto& a, const auto& b) { return b.left[0] < a.left[0]; };

} // namespace

std::unique_ptr<sorted_digests> sorted_in_memory(std::vector<digest> unsorted) {
  return std::make_unique<memory_digests>(std::move(unsorted));
}

std::unique_ptr<sorted_digests> sorted_in_run(identity_tables& tables, const identity_run& run) {
  return std::make_unique<run_digests>(tables, run);
}

run_merge::run_merge(identity_tables& tables, identity_run into,
                     std::vector<std::unique_ptr<sorted_digests>> parts)
  : tables_(tables),
    made_(std::move(into)) {
  for (auto& part : parts)
    waiting_.push_back({std::move(part), {}});
  block_.reserve(digests_a_block);
}

bool run_merge::step(size_t digests) {
  size_t done = 0;
  for (; done < digests && !waiting_.empty(); waiting_.pop_back()) {
    auto& next = waiting_.back();
    next.left = next.from->more();
    done += next.left.size();
    take_up(next);
  }
  for (; done < digests && waiting_.empty() && !parts_.empty(); ++done)
    take_smallest();
  if (!waiting_.empty() || !parts_.empty())
    return false;
  put_block();
  put_filters();
  tables_.put_run(made_);
  return true;
}

void run_merge::take_up(part& next) {
  if (next.left.empty())
    return;
  parts_.push_back(std::move(next));
  std::push_heap(parts_.begin(), parts_.end(), later);
}

void run_merge::take_smallest() {
  std::pop_heap(parts_.begin(), parts_.end(), later);
  auto next = std::move(parts_.back());
  parts_.pop_back();
  block_.push_back(next.left.front());
  next.left = next.left.subspan(1);
  if (next.left.empty())
    next.left = next.from->more();
  take_up(next);
  if (block_.size() == digests_a_block)
    put_block();
}

void run_merge::put_block() {
  if (block_.empty())
    return;
  tables_.put_block(made_.number, made_.blocks(), block_);
  made_.fences.push_back(block_.front());
  auto& filter = filters_.emplace_back();
  for (const auto& digest : block_)
    filter.add(filter_key{digest});
  made_.digests += static_cast<int64_t>(block_.size());
  block_.clear();
  if (filters_.size() == filters_a_row)
    put_filters();
}

void run_merge::put_filters() {
  if (filters_.empty())
    return;
  tables_.put_filters(made_.number, made_.blocks() - filters_.size(), filters_);
  filters_.clear();
}

} // namespace phi::store
